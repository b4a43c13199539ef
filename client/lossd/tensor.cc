#include "client/lossd/tensor.h"

#include <bit>

#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

static_assert(std::endian::native == std::endian::little,
              "Tensor.raw is little-endian");

}  // namespace

absl::Status CheckSize(const char* name, size_t size, int64_t want) {
  if (size == static_cast<size_t>(want)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " has ", size, " elements, want ", want));
}

absl::Status CheckSizes(std::initializer_list<SizeCheck> checks) {
  for (const SizeCheck& check : checks) {
    if (check.may_be_empty && check.size == 0) continue;
    absl::Status status = CheckSize(check.name, check.size, check.want);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

template <typename T>
void TensorToProto(absl::Span<const T> values, absl::Span<const int64_t> shape,
                   v1::Tensor* tensor) {
  TensorHeadToProto<T>(shape, tensor);
  tensor->set_raw(values.data(), values.size() * sizeof(T));
}

template void TensorToProto(absl::Span<const float>, absl::Span<const int64_t>,
                            v1::Tensor*);
template void TensorToProto(absl::Span<const double>, absl::Span<const int64_t>,
                            v1::Tensor*);
template void TensorToProto(absl::Span<const int64_t>,
                            absl::Span<const int64_t>, v1::Tensor*);

}  // namespace lossd
