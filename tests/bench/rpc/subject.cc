#include "tests/bench/rpc/subject.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lossctl/quantiles.h"

namespace lossd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr int kLeastRounds = 2;  // of a slice
constexpr int kWarmUpRounds = 3;
constexpr double kWarmUpSeconds = 0.3;

double SecondsSince(Clock::time_point begin) {
  return Seconds(Clock::now() - begin).count();
}

}  // namespace

Latency Summarize(std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  return {times_ms.size(), lossctl::Quantile(times_ms, 0.5),
          lossctl::Quantile(times_ms, 0.9), lossctl::Quantile(times_ms, 0.99)};
}

Subject::Subject(std::string name,
                 const std::shared_ptr<grpc::Channel>& channel,
                 const char* path, const std::string& request)
    : name_(std::move(name)),
      caller_(channel, path),
      request_(ToMessage(request)) {}

absl::StatusOr<std::string> Subject::Look() {
  const RawAnswer answer = caller_.Call(request_);
  const absl::Status status = Check(answer);
  if (!status.ok()) return status;
  want_length_ = answer.response.Length();
  return ToString(answer.response);
}

absl::Status Subject::Call() {
  const Clock::time_point begin = Clock::now();
  const RawAnswer answer = caller_.Call(request_);
  last_ms_ = SecondsSince(begin) * 1e3;
  absl::Status status = Check(answer);
  if (status.ok() && answer.response.Length() != want_length_) {
    status = absl::InternalError(absl::StrCat(name_, " answers ",
                                              answer.response.Length(),
                                              " bytes, want ", want_length_));
  }
  return status;
}

absl::Status Subject::Check(const RawAnswer& answer) const {
  const grpc::Status& status = answer.status;
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(name_, ": ", status.error_message()));
}

absl::Status Alternate(const std::vector<Subject*>& subjects, double seconds,
                       int least_rounds, bool keep) {
  const Clock::time_point begin = Clock::now();
  for (int round = 0; round < least_rounds || SecondsSince(begin) < seconds;
       ++round) {
    for (Subject* const subject : subjects) {
      const absl::Status status = subject->Call();
      if (!status.ok()) return status;
      if (keep) subject->Keep();
    }
  }
  return absl::OkStatus();
}

absl::Status WarmUp(const std::vector<Subject*>& subjects) {
  return Alternate(subjects, kWarmUpSeconds, kWarmUpRounds, /*keep=*/false);
}

absl::Status Slice(const std::vector<Subject*>& subjects, double seconds) {
  const absl::Status status = Alternate(subjects, 0.0, 1, /*keep=*/false);
  if (!status.ok()) return status;
  return Alternate(subjects, seconds, kLeastRounds, /*keep=*/true);
}

}  // namespace lossd::bench
