#include "server/http/request_reader.h"

#include <fmt/format.h>

#include <utility>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/errors.h"

namespace lossd::http {
namespace {

namespace pb = google::protobuf;

constexpr char kValues[] = "values";
constexpr int kValuesNumber = 0;  // no field of protobuf's has it

bool IsTensorType(const pb::Descriptor* type) {
  return type == v1::Tensor::descriptor();
}

std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump();
}

const pb::FieldDescriptor* FieldOf(const pb::Descriptor& type,
                                   const std::string& name) {
  const pb::FieldDescriptor* field = type.FindFieldByCamelcaseName(name);
  return field != nullptr ? field : type.FindFieldByName(name);
}

// What belongs into `field`, or into its list.
std::string_view WantOf(const pb::FieldDescriptor& field, bool in_list) {
  if (field.is_repeated() && !in_list) return "a list";
  if (IsTensorType(field.message_type())) return "a tensor";
  if (field.message_type() != nullptr) return "an object";
  return field.enum_type() != nullptr ? "a name" : "a value";
}

}  // namespace

bool RequestReader::null() {
  if (is_nested_) return FailType("null", "a number");
  return Scalar("null", "null");
}

bool RequestReader::boolean(bool value) {
  if (is_nested_) return FailType("a boolean", "a number");
  return Scalar(value ? "true" : "false", "a boolean");
}

bool RequestReader::number_integer(int64_t value) {
  // The parser gives those of zero and more as unsigned.
  return Number(value == 0 ? "-0" : std::to_string(value));
}

bool RequestReader::number_unsigned(uint64_t value) {
  return Number(std::to_string(value));
}

bool RequestReader::number_float(double, const std::string& text) {
  return Number(text);
}

bool RequestReader::Number(std::string_view json) {
  if (!is_nested_) {
    if (!IsTensor()) return Scalar(json, "a number");
    Nest();
  }
  return AfterNested(nested_.back().values.Add(json));
}

bool RequestReader::string(std::string& value) {
  if (!is_nested_) return Scalar(Quoted(value), "a text");
  if (value != "NaN" && value != "Infinity" && value != "-Infinity") {
    return FailType("a text",
                    "a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
  }
  return AfterNested(nested_.back().values.Add(value));
}

bool RequestReader::binary(binary_t&) {
  return FailType("binary", "JSON");  // never in JSON
}

bool RequestReader::start_object(size_t) {
  if (is_nested_) return FailType("an object", "a number");
  if (frames_.empty()) {
    plain_ += '{';
    frames_.push_back({&type_});
    return true;
  }
  const Frame& frame = frames_.back();
  const bool in_list = frame.type == nullptr;
  if (frame.field == nullptr || frame.field->message_type() == nullptr ||
      (frame.field->is_repeated() && !in_list)) {
    return FailType("an object", frame.field == nullptr
                                     ? "rows"
                                     : WantOf(*frame.field, in_list));
  }
  Separate();
  plain_ += '{';
  frames_.push_back({frame.field->message_type()});
  return true;
}

bool RequestReader::key(std::string& name) {
  Frame& frame = frames_.back();
  frame.field = nullptr;
  const bool is_values = IsTensorType(frame.type) && name == kValues;
  if (!is_values) {
    const pb::FieldDescriptor* field = FieldOf(*frame.type, name);
    if (field == nullptr) {
      const std::string path = frames_.size() == 1 ? name : Path() + "." + name;
      return Fail(rpc::Invalid(
          "UNKNOWN_FIELD", path,
          fmt::format("{}: no field of {}", path, frame.type->full_name()),
          {{"name", name}, {"type", frame.type->full_name()}}));
    }
    frame.field = field;
  }
  const int number = is_values ? kValuesNumber : frame.field->number();
  if (!frame.seen.insert(number).second) {
    return Fail(rpc::Invalid("DUPLICATE_FIELD", Path(),
                             Path() + ": there twice, want it once", {}));
  }
  return true;
}

bool RequestReader::end_object() {
  plain_ += '}';
  frames_.pop_back();
  return true;
}

bool RequestReader::start_array(size_t) {
  if (!is_nested_ && IsTensor()) Nest();
  if (is_nested_) return AfterNested(nested_.back().values.StartRow());
  if (frames_.empty()) return FailType("a list", "an object");
  const pb::FieldDescriptor& field = *frames_.back().field;
  const bool in_list = frames_.back().type == nullptr;
  if (!field.is_repeated() || in_list) {
    return FailType("a list", WantOf(field, in_list));
  }
  Separate();
  plain_ += '[';
  frames_.push_back({nullptr, &field});
  return true;
}

bool RequestReader::end_array() {
  if (is_nested_) return AfterNested(nested_.back().values.EndRow());
  plain_ += ']';
  frames_.pop_back();
  return true;
}

bool RequestReader::parse_error(size_t position, const std::string&,
                                const nlohmann::json::exception& error) {
  std::string_view text = error.what();
  // Without the library's own name for it, in brackets.
  text.remove_prefix(text.find("] ") + 2);
  return Fail(rpc::Refused(absl::StatusCode::kInvalidArgument, "NOT_JSON",
                           fmt::format("the body is no JSON: {}", text),
                           {{"position", std::to_string(position)}}));
}

bool RequestReader::Fail(absl::Status status) {
  status_ = std::move(status);
  return false;
}

bool RequestReader::FailType(std::string_view what, std::string_view want) {
  const std::string path = is_nested_ ? nested_.back().values.Path() : Path();
  return Fail(rpc::Invalid(
      "WRONG_TYPE", path,
      fmt::format("{}: {}, want {}", path.empty() ? "the body" : path, what,
                  want),
      {{"value", std::string(what)}, {"want", std::string(want)}}));
}

bool RequestReader::Scalar(std::string_view json, std::string_view what) {
  if (frames_.empty()) return FailType(what, "an object");
  const Frame& frame = frames_.back();
  const bool in_list = frame.type == nullptr;
  if (frame.field == nullptr) return FailType(what, "rows");
  const bool fits = frame.field->message_type() == nullptr &&
                    (!frame.field->is_repeated() || in_list);
  // In an object null is what is not there.
  if (!fits && (in_list || json != "null")) {
    return FailType(what, WantOf(*frame.field, in_list));
  }
  Separate();
  plain_ += json;
  return true;
}

bool RequestReader::IsTensor() const {
  if (frames_.empty() || frames_.back().type == nullptr) return false;
  const pb::FieldDescriptor* field = frames_.back().field;
  return field == nullptr || IsTensorType(field->message_type());
}

bool RequestReader::Nest() {
  // Of an object with `values`, protobuf reads the rest.
  const bool is_bare = frames_.back().field != nullptr;
  if (is_bare) {
    Separate();
    plain_ += "{}";
  }
  nested_.push_back({Fields(), NestedValues(Path())});
  is_nested_ = true;
  return true;
}

bool RequestReader::AfterNested(absl::Status status) {
  if (!status.ok()) return Fail(std::move(status));
  if (nested_.back().values.is_complete()) is_nested_ = false;
  return true;
}

void RequestReader::Separate() {
  Frame& frame = frames_.back();
  if (frame.count++ > 0) plain_ += ',';
  if (frame.type == nullptr) return;
  plain_ += Quoted(frame.field->json_name());
  plain_ += ':';
}

std::string RequestReader::Path() const {
  std::string path;
  for (const Frame& frame : frames_) {
    if (frame.type == nullptr) {
      path += fmt::format("[{}]", frame.count);
    } else if (frame.field != nullptr) {
      if (!path.empty()) path += '.';
      path += frame.field->name();
    }
  }
  return path;
}

FieldPath RequestReader::Fields() const {
  FieldPath fields;
  for (const Frame& frame : frames_) {
    if (frame.type != nullptr && frame.field != nullptr) {
      fields.push_back(frame.field);
    }
  }
  return fields;
}

}  // namespace lossd::http
