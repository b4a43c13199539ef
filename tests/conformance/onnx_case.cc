#include "tests/conformance/onnx_case.h"

#include <fmt/format.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace lossd::conformance {
namespace {

template <typename Message>
absl::StatusOr<Message> ReadMessage(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadOnnxFile(path);
  if (!bytes.ok()) return bytes.status();
  Message message;
  if (!message.ParseFromString(*bytes)) {
    return absl::DataLossError(path + " is no " +
                               message.GetDescriptor()->full_name());
  }
  return message;
}

// Reads KIND_0.pb, KIND_1.pb and so on, `count` of them.
absl::StatusOr<std::vector<onnx::Tensor>> ReadTensors(const std::string& folder,
                                                      const std::string& kind,
                                                      int count) {
  std::vector<onnx::Tensor> tensors;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<onnx::Tensor> tensor = ReadMessage<onnx::Tensor>(
        fmt::format("{}/test_data_set_0/{}_{}.pb", folder, kind, i));
    if (!tensor.ok()) return tensor.status();
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

absl::StatusOr<v1::Tensor> TensorOf(const onnx::Tensor& tensor) {
  static const std::map<onnx::Tensor::DataType, v1::DataType> kTypes = {
      {onnx::Tensor::FLOAT, v1::DATA_TYPE_FLOAT32},
      {onnx::Tensor::DOUBLE, v1::DATA_TYPE_FLOAT64},
      {onnx::Tensor::INT32, v1::DATA_TYPE_INT32},
      {onnx::Tensor::INT64, v1::DATA_TYPE_INT64}};
  const auto type = kTypes.find(tensor.data_type());
  if (type == kTypes.end()) {
    return absl::UnimplementedError(
        fmt::format("ONNX data type {}", tensor.data_type()));
  }
  v1::Tensor result;
  result.set_data_type(type->second);
  *result.mutable_shape() = tensor.dims();
  result.set_raw(tensor.raw_data());
  return result;
}

// The attributes that the two operators have in common.
struct Attributes {
  v1::Reduction reduction = v1::REDUCTION_MEAN;
  std::optional<int64_t> ignore_index;
};

absl::StatusOr<Attributes> AttributesOf(const onnx::Node& node) {
  static const std::map<std::string, v1::Reduction> kReductions = {
      {"mean", v1::REDUCTION_MEAN},
      {"sum", v1::REDUCTION_SUM},
      {"none", v1::REDUCTION_NONE}};
  Attributes attributes;
  for (const onnx::Attribute& attribute : node.attribute()) {
    const auto reduction = kReductions.find(attribute.s());
    if (attribute.name() == "ignore_index") {
      attributes.ignore_index = attribute.i();
    } else if (attribute.name() == "reduction" &&
               reduction != kReductions.end()) {
      attributes.reduction = reduction->second;
    } else {
      return absl::UnimplementedError(fmt::format(
          "ONNX attribute {} = \"{}\"", attribute.name(), attribute.s()));
    }
  }
  return attributes;
}

// Fills the options, which both losses have under the same names.
template <typename Loss>
void SetOptions(const Attributes& attributes,
                const std::optional<v1::Tensor>& class_weights, Loss& loss) {
  if (attributes.ignore_index) loss.set_ignore_index(*attributes.ignore_index);
  if (class_weights) *loss.mutable_class_weights() = *class_weights;
}

}  // namespace

std::string OnnxFolder() { return "/usr/share/libonnx-testdata/data/node"; }

absl::StatusOr<std::string> ReadOnnxFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        path +
        " cannot be read; it is in Debian's package libonnx-testdata, "
        "which `scripts/install-deps test` installs");
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<OnnxCase> ReadOnnxCase(const std::string& name) {
  const std::string folder = OnnxFolder() + "/" + name;
  const auto model = ReadMessage<onnx::Model>(folder + "/model.onnx");
  if (!model.ok()) return model.status();
  if (model->graph().node_size() != 1) {
    return absl::UnimplementedError(fmt::format(
        "{} has {} operators, want 1", name, model->graph().node_size()));
  }
  OnnxCase onnx_case;
  onnx_case.node = model->graph().node(0);
  auto inputs = ReadTensors(folder, "input", onnx_case.node.input_size());
  if (!inputs.ok()) return inputs.status();
  auto outputs = ReadTensors(folder, "output", onnx_case.node.output_size());
  if (!outputs.ok()) return outputs.status();
  onnx_case.inputs = *std::move(inputs);
  onnx_case.outputs = *std::move(outputs);
  return onnx_case;
}

absl::StatusOr<v1::ComputeLossRequest> RequestOf(const OnnxCase& onnx_case) {
  const absl::StatusOr<Attributes> attributes = AttributesOf(onnx_case.node);
  if (!attributes.ok()) return attributes.status();
  std::vector<v1::Tensor> inputs;
  for (const onnx::Tensor& input : onnx_case.inputs) {
    const absl::StatusOr<v1::Tensor> tensor = TensorOf(input);
    if (!tensor.ok()) return tensor.status();
    inputs.push_back(*tensor);
  }
  if (inputs.size() < 2 || inputs.size() > 3) {
    return absl::UnimplementedError(
        fmt::format("{} inputs, want 2 or 3", inputs.size()));
  }
  std::optional<v1::Tensor> class_weights;
  if (inputs.size() == 3) class_weights = inputs[2];

  v1::ComputeLossRequest request;
  const std::string& op = onnx_case.node.op_type();
  if (op == "SoftmaxCrossEntropyLoss") {
    SetOptions(*attributes, class_weights,
               *request.mutable_loss()->mutable_softmax_cross_entropy());
  } else if (op == "NegativeLogLikelihoodLoss") {
    SetOptions(*attributes, class_weights,
               *request.mutable_loss()->mutable_negative_log_likelihood());
  } else {
    return absl::UnimplementedError("ONNX operator " + op);
  }
  request.set_reduction(attributes->reduction);
  request.set_class_axis(1);
  request.add_outputs(attributes->reduction == v1::REDUCTION_NONE
                          ? v1::OUTPUT_ROW_LOSSES
                          : v1::OUTPUT_LOSS);
  if (onnx_case.outputs.size() > 1) {
    request.add_outputs(v1::OUTPUT_LOG_PROBABILITIES);
  }
  *request.mutable_logits() = inputs[0];
  *request.mutable_labels() = inputs[1];
  return request;
}

}  // namespace lossd::conformance
