#include "server/http/nested_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "absl/strings/charconv.h"
#include "server/rpc/elements.h"
#include "server/rpc/errors.h"
#include "server/rpc/tensor.h"

namespace lossd::http {
namespace {

// Appends `number` to `raw` as a Value; false where it is out of range.
template <typename Value>
bool AppendInteger(std::string_view number, std::string& raw) {
  Value value = 0;
  const auto result =
      std::from_chars(number.data(), number.data() + number.size(), value);
  if (result.ec != std::errc() || result.ptr != number.end()) return false;
  raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
  return true;
}

// Whether `value`, read from `number`, is an infinity that nobody wrote.
template <typename Value>
bool Overflows(Value value, std::string_view number) {
  return std::isinf(value) && number.back() != 'y';
}

// Rounds to nearest, once; what is too large becomes infinite.
template <typename Value>
Value ReadFloat(std::string_view number) {
  Value value = 0;
  const auto result =
      absl::from_chars(number.data(), number.data() + number.size(), value);
  if (result.ec == std::errc::result_out_of_range && std::abs(value) > 1) {
    return std::copysign(std::numeric_limits<Value>::infinity(), value);
  }
  return value;
}

bool AppendFloat(v1::DataType data_type, std::string_view number,
                 std::string& raw) {
  if (data_type == v1::DATA_TYPE_FLOAT32) {
    const auto value = ReadFloat<float>(number);
    raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return !Overflows(value, number);
  }
  rpc::AppendFloat(data_type, ReadFloat<double>(number), raw);
  return !Overflows(
      rpc::FloatAt(
          data_type, raw,
          static_cast<int64_t>(raw.size()) / rpc::ElementBytes(data_type) - 1),
      number);
}

bool Append(v1::DataType data_type, std::string_view number, std::string& raw) {
  switch (data_type) {
    case v1::DATA_TYPE_INT32:
      return AppendInteger<int32_t>(number, raw);
    case v1::DATA_TYPE_INT64:
      return AppendInteger<int64_t>(number, raw);
    default:
      return AppendFloat(data_type, number, raw);
  }
}

bool IsInteger(std::string_view number) {
  return number.find_first_not_of("-0123456789") == number.npos;
}

}  // namespace

absl::Status NestedValues::StartRow() {
  if (is_rank_known_ && counts_.size() == shape_.size()) {
    return rpc::Invalid("MIXED_DEPTH", Path(),
                        Path() + ": a row, want a number like those before it",
                        {});
  }
  if (counts_.size() == kMaxRank) {
    return rpc::Invalid("TOO_DEEP", field_,
                        fmt::format("{}: more than {} axes", field_, kMaxRank),
                        {{"max_rank", std::to_string(kMaxRank)}});
  }
  counts_.push_back(0);
  if (counts_.size() > shape_.size()) shape_.push_back(-1);
  return absl::OkStatus();
}

absl::Status NestedValues::EndRow() {
  const int64_t count = counts_.back();
  counts_.pop_back();
  int64_t& want = shape_[counts_.size()];
  if (want < 0) {
    want = count;
  } else if (count != want) {
    return rpc::Invalid(
        "RAGGED_ROWS", Path(),
        fmt::format("{} has {} elements, want {} as in the rows before it",
                    Path(), count, want),
        {{"length", std::to_string(count)}, {"want", std::to_string(want)}});
  }
  is_rank_known_ = true;
  Count();
  return absl::OkStatus();
}

absl::Status NestedValues::Add(std::string_view number) {
  if (counts_.size() < shape_.size() || (is_rank_known_ && counts_.empty())) {
    return rpc::Invalid(
        "MIXED_DEPTH", Path(),
        fmt::format("{} = {}, want a row like those before it", Path(), number),
        {{"value", std::string(number)}});
  }
  is_rank_known_ = true;
  are_integers_ = are_integers_ && IsInteger(number);
  numbers_.append(number);
  numbers_ += ',';
  Count();
  return absl::OkStatus();
}

absl::Status NestedValues::Fill(v1::DataType data_type,
                                v1::Tensor& tensor) const {
  if (data_type == v1::DATA_TYPE_UNSPECIFIED ||
      !v1::DataType_IsValid(data_type)) {
    return rpc::OutOfRange(field_ + ".data_type", rpc::NameOf(data_type),
                           "a type of floats or integers");
  }
  absl::Status status = FillShape(tensor);
  if (!status.ok()) return status;
  tensor.set_data_type(data_type);
  std::string& raw = *tensor.mutable_raw();
  raw.reserve(std::count(numbers_.begin(), numbers_.end(), ',') *
              rpc::ElementBytes(data_type));
  std::string_view rest = numbers_;
  for (int64_t i = 0; !rest.empty(); ++i) {
    const std::string_view number = rest.substr(0, rest.find(','));
    if (!Append(data_type, number, raw)) {
      return rpc::OutOfRange(
          PathOf(i), number,
          "a number in " + rpc::NameOf(data_type) + "'s range");
    }
    rest.remove_prefix(number.size() + 1);
  }
  return absl::OkStatus();
}

absl::Status NestedValues::FillShape(v1::Tensor& tensor) const {
  if (tensor.shape().empty()) {
    tensor.mutable_shape()->Add(shape_.begin(), shape_.end());
    return absl::OkStatus();
  }
  const rpc::Shape said(tensor.shape().data(), tensor.shape_size());
  // Rows cannot say what comes after an axis of length 0.
  const bool is_empty =
      numbers_.empty() && std::find(said.begin(), said.end(), 0) != said.end();
  if (is_empty || said == rpc::Shape(shape_)) return absl::OkStatus();
  return rpc::OutOfRange(field_ + ".shape", rpc::ToString(said),
                         rpc::ToString(shape_) + ", that of the values");
}

std::string NestedValues::Path() const {
  std::string path = field_;
  for (const int64_t count : counts_) path += fmt::format("[{}]", count);
  return path;
}

std::string NestedValues::PathOf(int64_t i) const {
  std::string indices;
  for (auto axis = shape_.rbegin(); axis != shape_.rend(); ++axis) {
    indices.insert(0, fmt::format("[{}]", i % *axis));
    i /= *axis;
  }
  return field_ + indices;
}

void NestedValues::Count() {
  if (!counts_.empty()) ++counts_.back();
}

}  // namespace lossd::http
