#include "tests/golden/golden_request.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>

#include "tests/golden/golden_json.h"

namespace lossd::golden {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const std::map<std::string, v1::DataType> kDataTypes = {
    {"float16", v1::DATA_TYPE_FLOAT16},
    {"bfloat16", v1::DATA_TYPE_BFLOAT16},
    {"float32", v1::DATA_TYPE_FLOAT32},
    {"float64", v1::DATA_TYPE_FLOAT64}};

const std::map<std::string, compute::ElementType> kElementTypes = {
    {"float16", compute::ElementType::kFloat16},
    {"bfloat16", compute::ElementType::kBFloat16},
    {"float32", compute::ElementType::kFloat32},
    {"float64", compute::ElementType::kFloat64}};

const std::map<std::string, v1::Reduction> kReductions = {
    {"mean", v1::REDUCTION_MEAN},
    {"sum", v1::REDUCTION_SUM},
    {"none", v1::REDUCTION_NONE}};

double NumberOf(const json& value) {
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return value.get<double>();
}

// A list, or a list of lists of one length, of numbers of the named type. A
// number that the type does not have is a mistake in the file.
v1::Tensor TensorOf(const json& values, const std::string& type) {
  v1::Tensor tensor;
  tensor.set_data_type(kDataTypes.at(type));
  tensor.add_shape(static_cast<int64_t>(values.size()));
  if (values.at(0).is_array()) {
    tensor.add_shape(static_cast<int64_t>(values[0].size()));
  }
  const compute::ElementType element = kElementTypes.at(type);
  const auto add = [&](const json& value) {
    const double number = NumberOf(value);
    std::byte bytes[sizeof(double)];
    compute::StoreElement(element, number, bytes, 0);
    if (compute::LoadElement(element, bytes, 0) != number) {
      throw std::invalid_argument(fmt::format("{} is no {}", number, type));
    }
    tensor.mutable_raw()->append(reinterpret_cast<const char*>(bytes),
                                 compute::ElementBytes(element));
  };
  for (const json& value : values) {
    if (!value.is_array()) {
      add(value);
      continue;
    }
    if (value.size() != values[0].size()) {
      throw std::invalid_argument("a row is longer than another");
    }
    for (const json& number : value) add(number);
  }
  return tensor;
}

v1::Tensor LabelsOf(const json& values) {
  v1::Tensor tensor;
  tensor.add_shape(static_cast<int64_t>(values.size()));
  for (const json& value : values) {
    tensor.mutable_int64_values()->add_values(value.get<int64_t>());
  }
  return tensor;
}

// Options are named as the contract's fields: set by reflection.
void SetOption(const std::string& name, const json& value, Message* loss) {
  const FieldDescriptor* field = loss->GetDescriptor()->FindFieldByName(name);
  const auto* set = loss->GetReflection();
  if (field == nullptr) {
    throw std::invalid_argument("no option of the loss: " + name);
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return set->SetDouble(loss, field, NumberOf(value));
    case FieldDescriptor::CPPTYPE_INT64:
      return set->SetInt64(loss, field, value.get<int64_t>());
    case FieldDescriptor::CPPTYPE_INT32:
      return set->SetInt32(loss, field, value.get<int32_t>());
    case FieldDescriptor::CPPTYPE_BOOL:
      return set->SetBool(loss, field, value.get<bool>());
    default:
      set->MutableMessage(loss, field)->CopyFrom(TensorOf(value, "float64"));
  }
}

void SetLoss(const std::string& name, const json& options, v1::LossSpec* spec) {
  const FieldDescriptor* field = spec->GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) throw std::invalid_argument("no loss: " + name);
  Message* loss = spec->GetReflection()->MutableMessage(spec, field);
  for (const auto& [option, value] : options.items()) {
    SetOption(option, value, loss);
  }
}

}  // namespace

json ReadGoldenFile(const std::string& loss) {
  std::ifstream file(std::string(LOSSD_GOLDEN_FOLDER) + "/" + loss + ".json");
  return json::parse(file);
}

compute::ElementType TypeOf(const json& golden) {
  return kElementTypes.at(golden.at("data_type"));
}

v1::ComputeLossRequest RequestOf(const std::string& loss, const json& golden) {
  const std::string type = golden.at("data_type");
  v1::ComputeLossRequest request;
  for (const auto& [key, value] : golden.items()) {
    if (key == "options") {
      SetLoss(loss, value, request.mutable_loss());
    } else if (key == "reduction") {
      request.set_reduction(kReductions.at(value));
    } else if (key == "divisor") {
      request.set_divisor(value);
    } else if (key == "logits") {
      *request.mutable_logits() = TensorOf(value, type);
    } else if (key == "labels") {
      *request.mutable_labels() = LabelsOf(value);
    } else if (key == "targets") {
      *request.mutable_labels() = TensorOf(value, type);
    } else if (key == "row_weights") {
      *request.mutable_row_weights() = TensorOf(value, "float64");
    } else if (key == "upstream_gradient") {
      *request.mutable_upstream_gradient() = TensorOf(value, "float64");
    } else if (key != "name" && key != "note" && key != "data_type" &&
               key != "vector" && key != "expected") {
      throw std::invalid_argument("no field of a case: " + key);
    }
  }
  request.add_outputs(v1::OUTPUT_LOSS);
  request.add_outputs(v1::OUTPUT_GRADIENT);
  request.add_outputs(v1::OUTPUT_ROW_LOSSES);
  if (golden.at("expected").contains("log_sum_exp")) {
    request.add_outputs(v1::OUTPUT_LOG_SUM_EXP);
  }
  return request;
}

v1::ComputeHessianVectorProductRequest ProductRequestOf(const std::string& loss,
                                                        const json& golden) {
  v1::ComputeHessianVectorProductRequest request;
  *request.mutable_base() = RequestOf(loss, golden);
  *request.mutable_vector() =
      TensorOf(golden.at("vector"), golden.at("data_type"));
  return request;
}

Reals ExpectedOf(const json& golden, const std::string& name) {
  Reals values;
  const auto add = [&](const json& text) {
    const auto real = RealOf(text.get<std::string>());
    if (!real.ok()) {
      throw std::invalid_argument(std::string(real.status().message()));
    }
    values.push_back(*real);
  };
  const json& expected = golden.at("expected").at(name);
  if (!expected.is_array()) {
    add(expected);
    return values;
  }
  for (const json& row : expected) {
    if (!row.is_array()) {
      add(row);
      continue;
    }
    for (const json& text : row) add(text);
  }
  return values;
}

std::vector<double> ElementsOf(const json& golden, const v1::Tensor& tensor,
                               size_t count) {
  const compute::ElementType type = TypeOf(golden);
  if (tensor.data_type() != kDataTypes.at(golden.at("data_type")) ||
      tensor.raw().size() != count * compute::ElementBytes(type)) {
    throw std::invalid_argument(
        fmt::format("{} bytes of data type {}, want {} elements of {}",
                    tensor.raw().size(), static_cast<int>(tensor.data_type()),
                    count, golden.at("data_type").get<std::string>()));
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(tensor.raw().data());
  std::vector<double> elements;
  for (size_t i = 0; i < count; ++i) {
    elements.push_back(
        compute::LoadElement(type, bytes, static_cast<int64_t>(i)));
  }
  return elements;
}

}  // namespace lossd::golden
