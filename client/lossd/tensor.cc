#include "client/lossd/tensor.h"

#include <bit>
#include <cstring>

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
  tensor->set_data_type(kDataType<T>);
  tensor->mutable_shape()->Add(shape.begin(), shape.end());
  tensor->set_raw(values.data(), values.size() * sizeof(T));
}

template <typename T>
absl::Status TensorFromProto(const char* name, const v1::Tensor& tensor,
                             absl::Span<T> out) {
  if (out.empty()) return absl::OkStatus();
  const size_t want_bytes = out.size() * sizeof(T);
  if (tensor.data_type() != kDataType<T> || tensor.raw().size() != want_bytes) {
    return absl::InternalError(absl::StrCat(
        "the server answered ", name, " with ", tensor.raw().size(),
        " bytes of ", v1::DataType_Name(tensor.data_type()), ", want ",
        want_bytes, " of ", v1::DataType_Name(kDataType<T>)));
  }
  std::memcpy(out.data(), tensor.raw().data(), want_bytes);
  return absl::OkStatus();
}

template void TensorToProto(absl::Span<const float>, absl::Span<const int64_t>,
                            v1::Tensor*);
template void TensorToProto(absl::Span<const double>, absl::Span<const int64_t>,
                            v1::Tensor*);
template void TensorToProto(absl::Span<const int64_t>,
                            absl::Span<const int64_t>, v1::Tensor*);
template absl::Status TensorFromProto(const char*, const v1::Tensor&,
                                      absl::Span<float>);
template absl::Status TensorFromProto(const char*, const v1::Tensor&,
                                      absl::Span<double>);
template absl::Status TensorFromProto(const char*, const v1::Tensor&,
                                      absl::Span<int64_t>);

}  // namespace lossd
