#include "server/rpc/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// Tensors on the wire are little-endian and are used as they lie in memory.
static_assert(std::endian::native == std::endian::little);

// A shape longer than this is cut in messages.
constexpr size_t kMaxPrintedAxes = 8;

// Fails where the contents say another type than `data_type`.
absl::StatusOr<v1::DataType> TypeOfValues(v1::DataType data_type,
                                          v1::DataType contents_type,
                                          std::string_view contents,
                                          std::string_view field) {
  if (data_type != v1::DATA_TYPE_UNSPECIFIED && data_type != contents_type) {
    return OutOfRange(
        fmt::format("{}.data_type", field), NameOf(data_type),
        fmt::format("{} for {}", NameOf(contents_type), contents));
  }
  return contents_type;
}

absl::Status CheckKnown(v1::DataType data_type, std::string_view field) {
  if (v1::DataType_IsValid(data_type)) return absl::OkStatus();
  return OutOfRange(fmt::format("{}.data_type", field),
                    std::to_string(static_cast<int>(data_type)),
                    "a known DataType");
}

absl::Status MissingType(std::string_view field, std::string_view want) {
  return Missing(fmt::format("{}.data_type", field), want);
}

absl::StatusOr<v1::DataType> TypeFromProto(const wire::Tensor& tensor,
                                           std::string_view field) {
  const v1::DataType data_type = tensor.data_type;
  const absl::Status known = CheckKnown(data_type, field);
  if (!known.ok()) return known;
  switch (tensor.contents) {
    case v1::Tensor::kRaw:
      if (data_type == v1::DATA_TYPE_UNSPECIFIED) {
        return MissingType(field, "the type of raw's elements");
      }
      return data_type;
    case v1::Tensor::kFloatValues:
      return TypeOfValues(data_type, v1::DATA_TYPE_FLOAT32, "float_values",
                          field);
    case v1::Tensor::kInt64Values:
      return TypeOfValues(data_type, v1::DATA_TYPE_INT64, "int64_values",
                          field);
    case v1::Tensor::CONTENTS_NOT_SET:
      break;
  }
  return Missing(field, "one of raw, float_values and int64_values");
}

// The product of `shape`, so small that its bytes are counted in an int64.
absl::StatusOr<int64_t> ElementsOf(Shape shape, v1::DataType data_type,
                                   std::string_view field) {
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 0) {
      return OutOfRange(fmt::format("{}.shape[{}]", field, axis),
                        std::to_string(shape[axis]), ">= 0");
    }
  }
  // An axis of length 0 makes the product 0, however long the others are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t bytes = ElementBytes(data_type);
  for (const int64_t length : shape) {
    if (__builtin_mul_overflow(bytes, length, &bytes)) {
      return OutOfRange(fmt::format("{}.shape", field), ToString(shape),
                        "at most 2^63 - 1 bytes");
    }
  }
  return bytes / ElementBytes(data_type);
}

absl::Status CheckRawLength(size_t bytes, const TensorView& view,
                            std::string_view field) {
  const int64_t want = view.elements * ElementBytes(view.data_type);
  if (static_cast<int64_t>(bytes) == want) return absl::OkStatus();
  const std::string path = fmt::format("{}.raw", field);
  return Invalid(
      "WRONG_LENGTH", path,
      fmt::format("{}: {} bytes, want {} (shape {} of {})", path, bytes, want,
                  ToString(view.shape), NameOf(view.data_type)),
      {{"bytes", std::to_string(bytes)},
       {"want", std::to_string(want)},
       {"shape", ToString(view.shape)},
       {"data_type", NameOf(view.data_type)}});
}

absl::Status CheckValueCount(size_t values, const TensorView& view,
                             std::string_view field,
                             std::string_view contents) {
  if (static_cast<int64_t>(values) == view.elements) return absl::OkStatus();
  const std::string path = fmt::format("{}.{}", field, contents);
  return Invalid("WRONG_LENGTH", path,
                 fmt::format("{}: {} values, want {} (shape {})", path, values,
                             view.elements, ToString(view.shape)),
                 {{"values", std::to_string(values)},
                  {"want", std::to_string(view.elements)},
                  {"shape", ToString(view.shape)}});
}

absl::Status CheckLength(const wire::Tensor& tensor, std::string_view field,
                         const TensorView& view) {
  const size_t bytes = tensor.elements.size();
  switch (tensor.contents) {
    case v1::Tensor::kRaw:
      return CheckRawLength(bytes, view, field);
    case v1::Tensor::kFloatValues:
      return CheckValueCount(bytes / sizeof(float), view, field,
                             "float_values");
    case v1::Tensor::kInt64Values:
      return CheckValueCount(bytes / sizeof(int64_t), view, field,
                             "int64_values");
    case v1::Tensor::CONTENTS_NOT_SET:
      break;
  }
  return Missing(field, "one of raw, float_values and int64_values");
}

// A tensor of this type, its shape checked, its contents not looked at.
absl::StatusOr<TensorView> ViewShape(const wire::Tensor& tensor,
                                     v1::DataType data_type,
                                     std::string_view field) {
  TensorView view;
  view.data_type = data_type;
  view.shape = tensor.shape;
  const absl::StatusOr<int64_t> elements =
      ElementsOf(view.shape, data_type, field);
  if (!elements.ok()) return elements.status();
  view.elements = *elements;
  return view;
}

// `view` as it is, if it is of a float type.
absl::StatusOr<TensorView> CheckFloat(absl::StatusOr<TensorView> view,
                                      std::string_view field) {
  if (view.ok() && !IsFloat(view->data_type)) {
    return OutOfRange(fmt::format("{}.data_type", field),
                      NameOf(view->data_type), "a float type");
  }
  return view;
}

}  // namespace

const std::byte* TensorView::Contiguous(std::vector<std::byte>& scratch) const {
  if (elements == 0) return nullptr;
  return compute::RowSource(pieces, elements * ElementBytes(data_type))
      .Row(0, scratch);
}

absl::StatusOr<TensorView> TensorFromProto(const wire::Tensor& tensor,
                                           std::string_view field) {
  const absl::StatusOr<v1::DataType> data_type = TypeFromProto(tensor, field);
  if (!data_type.ok()) return data_type.status();
  absl::StatusOr<TensorView> view = ViewShape(tensor, *data_type, field);
  if (!view.ok()) return view;
  const absl::Status length = CheckLength(tensor, field, *view);
  if (!length.ok()) return length;
  view->pieces = tensor.elements.pieces();
  return view;
}

absl::StatusOr<TensorView> FloatTensorFromProto(const wire::Tensor& tensor,
                                                std::string_view field) {
  return CheckFloat(TensorFromProto(tensor, field), field);
}

absl::StatusOr<TensorView> FloatTensorWithoutContents(
    const wire::Tensor& tensor, std::string_view field) {
  if (tensor.contents != v1::Tensor::CONTENTS_NOT_SET) {
    return Invalid("CONTENTS_IN_HEADER", field,
                   fmt::format("{}: {} bytes of contents, want none: they come "
                               "in chunks",
                               field, tensor.elements.size()),
                   {{"bytes", std::to_string(tensor.elements.size())}});
  }
  const absl::Status known = CheckKnown(tensor.data_type, field);
  if (!known.ok()) return known;
  if (tensor.data_type == v1::DATA_TYPE_UNSPECIFIED) {
    return MissingType(field, "the type of the chunks' elements");
  }
  return CheckFloat(ViewShape(tensor, tensor.data_type, field), field);
}

absl::Status CheckShape(const TensorView& tensor, std::string_view field,
                        Shape want) {
  if (tensor.shape == want) return absl::OkStatus();
  return OutOfRange(fmt::format("{}.shape", field), ToString(tensor.shape),
                    ToString(want));
}

std::optional<compute::ElementType> FloatTypeFromProto(v1::DataType data_type) {
  switch (data_type) {
    case v1::DATA_TYPE_FLOAT16:
      return compute::ElementType::kFloat16;
    case v1::DATA_TYPE_BFLOAT16:
      return compute::ElementType::kBFloat16;
    case v1::DATA_TYPE_FLOAT32:
      return compute::ElementType::kFloat32;
    case v1::DATA_TYPE_FLOAT64:
      return compute::ElementType::kFloat64;
    case v1::DATA_TYPE_INT32:
    case v1::DATA_TYPE_INT64:
    case v1::DATA_TYPE_UNSPECIFIED:
    case v1::DataType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::DataType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

v1::DataType DataTypeOf(compute::ElementType type) {
  switch (type) {
    case compute::ElementType::kFloat16:
      return v1::DATA_TYPE_FLOAT16;
    case compute::ElementType::kBFloat16:
      return v1::DATA_TYPE_BFLOAT16;
    case compute::ElementType::kFloat32:
      return v1::DATA_TYPE_FLOAT32;
    case compute::ElementType::kFloat64:
      return v1::DATA_TYPE_FLOAT64;
  }
  return v1::DATA_TYPE_UNSPECIFIED;
}

bool IsFloat(v1::DataType data_type) {
  return FloatTypeFromProto(data_type).has_value();
}

int64_t ElementBytes(v1::DataType data_type) {
  switch (data_type) {
    case v1::DATA_TYPE_FLOAT16:
    case v1::DATA_TYPE_BFLOAT16:
      return 2;
    case v1::DATA_TYPE_FLOAT32:
    case v1::DATA_TYPE_INT32:
      return 4;
    case v1::DATA_TYPE_FLOAT64:
    case v1::DATA_TYPE_INT64:
      return 8;
    case v1::DATA_TYPE_UNSPECIFIED:
    case v1::DataType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::DataType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return 1;
}

std::string NameOf(v1::DataType data_type) {
  constexpr std::string_view kPrefix = "DATA_TYPE_";
  if (!v1::DataType_IsValid(data_type)) {
    return std::to_string(static_cast<int>(data_type));
  }
  return v1::DataType_Name(data_type).substr(kPrefix.size());
}

std::string ToString(Shape shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis == kMaxPrintedAxes) {
      text += fmt::format(", ..., {} axes", shape.size());
      break;
    }
    text += fmt::format("{}{}", axis == 0 ? "" : ", ", shape[axis]);
  }
  return text + "]";
}

}  // namespace lossd::rpc
