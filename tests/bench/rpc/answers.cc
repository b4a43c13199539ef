#include "tests/bench/rpc/answers.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd::bench {
namespace {

// Sums of 50,257 float32 terms are good for six digits at least.
constexpr double kTolerance = 1e-4;

absl::StatusOr<double> FiniteLoss(double loss) {
  if (std::isfinite(loss)) return loss;
  return absl::InternalError(absl::StrCat("loss = ", loss, ", want finite"));
}

void Append(std::string& bytes, const void* data, size_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

}  // namespace

absl::StatusOr<double> LossOfServiceAnswer(const Payload& payload,
                                           const std::string& bytes) {
  v1::ComputeLossResponse response;
  if (!response.ParseFromString(bytes)) {
    return absl::InternalError(
        absl::StrCat("an answer of ", bytes.size(), " bytes does not parse"));
  }
  const v1::Tensor& gradient = response.gradient();
  const size_t want_bytes = payload.rows * payload.classes * sizeof(float);
  if (gradient.data_type() != v1::DATA_TYPE_FLOAT32 ||
      gradient.shape_size() != 2 || gradient.shape(0) != payload.rows ||
      gradient.shape(1) != payload.classes ||
      gradient.raw().size() != want_bytes) {
    return absl::InternalError(absl::StrCat(
        "the gradient has ", gradient.raw().size(), " bytes of type ",
        gradient.data_type(), " in ", gradient.shape_size(), " axes, want ",
        payload.rows, " x ", payload.classes, " float32"));
  }
  if (!response.has_loss()) return absl::InternalError("there is no loss");
  return FiniteLoss(response.loss());
}

std::string TorchRequest(const v1::ComputeLossRequest& request) {
  const v1::Tensor& logits = request.logits();
  std::vector<int32_t> labels(request.labels().raw().size() / sizeof(int32_t));
  std::memcpy(labels.data(), request.labels().raw().data(),
              request.labels().raw().size());
  std::string bytes;
  for (const int64_t length : logits.shape()) {
    Append(bytes, &length, sizeof(length));
  }
  for (const int64_t label : labels) Append(bytes, &label, sizeof(label));
  return bytes + logits.raw();
}

absl::StatusOr<double> LossOfTorchAnswer(const Payload& payload,
                                         const std::string& bytes) {
  const size_t want =
      sizeof(double) + payload.rows * payload.classes * sizeof(float);
  if (bytes.size() != want) {
    return absl::InternalError(absl::StrCat(
        "the Python service answers ", bytes.size(), " bytes, want ", want));
  }
  double loss = 0.0;
  std::memcpy(&loss, bytes.data(), sizeof(loss));
  return FiniteLoss(loss);
}

absl::Status CheckSameLoss(double service_loss, double torch_loss) {
  const double difference = std::abs(service_loss - torch_loss);
  if (difference <= kTolerance * std::abs(service_loss)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("lossd's loss is ", service_loss,
                                          ", PyTorch's ", torch_loss));
}

}  // namespace lossd::bench
