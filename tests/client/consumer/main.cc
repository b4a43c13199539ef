// Two equal logits carry no information: the loss is ln 2, the gradient -+1/2.
#include <lossd/client.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  lossd::ClientOptions options;
  options.target = argv[1];
  const auto client = lossd::Client::Connect(options);
  if (!client.ok()) return 2;

  const std::vector<double> logits = {3.0, 3.0};
  const std::vector<int64_t> labels = {0};
  std::vector<double> gradient(2);
  lossd::Batch<double> batch;
  batch.rows = 1;
  batch.classes = 2;
  batch.logits = logits;
  batch.labels = labels;
  lossd::LossOutputs<double> outputs;
  outputs.gradient = absl::MakeSpan(gradient);
  const auto summary = client->ComputeLoss(
      batch, {}, lossd::CallOptions(absl::Seconds(10)), outputs);
  if (!summary.ok()) {
    std::fprintf(stderr, "%s\n", summary.status().ToString().c_str());
    return 1;
  }
  std::printf("loss %.17g gradient %g %g\n", *summary->loss, gradient[0],
              gradient[1]);
  const bool right = std::abs(*summary->loss - std::log(2.0)) < 1e-15 &&
                     gradient[0] == -0.5 && gradient[1] == 0.5;
  return right ? 0 : 1;
}
