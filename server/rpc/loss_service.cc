#include "server/rpc/loss_service.h"

#include <grpcpp/impl/rpc_service_method.h>

#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "server/compute/hessian.h"
#include "server/compute/kernel.h"
#include "server/rpc/convert.h"
#include "server/rpc/errors.h"
#include "server/rpc/hessian.h"
#include "server/rpc/wire/message.h"

namespace lossd::rpc {
namespace {

template <typename Request>
absl::Status NoMessage() {
  return NotAMessage(Request::descriptor()->full_name());
}

absl::StatusOr<grpc::ByteBuffer> ToBuffer(wire::OutgoingMessage message) {
  const auto bytes = static_cast<int64_t>(message.size());
  if (bytes > kMaxMessageBytes)
    return ResponseTooLarge(bytes, kMaxMessageBytes);
  return message.Release();
}

absl::StatusOr<grpc::ByteBuffer> RunComputeLoss(const LossService& service,
                                                compute::Pieces message,
                                                compute::StopCheck stop_check,
                                                ReserveMemory reserve) {
  const std::optional<wire::LossRequest> request =
      wire::ParseLossRequest(message);
  if (!request) return NoMessage<v1::ComputeLossRequest>();
  absl::StatusOr<wire::LossResponse> response =
      service.ComputeLoss(*request, stop_check, reserve);
  if (!response.ok()) return response.status();
  return ToBuffer(wire::Serialize(*std::move(response)));
}

absl::StatusOr<grpc::ByteBuffer> RunHessian(const LossService& service,
                                            compute::Pieces message,
                                            compute::StopCheck stop_check,
                                            ReserveMemory reserve) {
  const std::optional<wire::HessianRequest> request =
      wire::ParseHessianRequest(message);
  if (!request) return NoMessage<v1::ComputeHessianVectorProductRequest>();
  absl::StatusOr<wire::OutgoingTensor> product =
      service.ComputeHessianVectorProduct(*request, stop_check, reserve);
  if (!product.ok()) return product.status();
  return ToBuffer(wire::SerializeProduct(*std::move(product)));
}

absl::StatusOr<grpc::ByteBuffer> RunGetServerInfo(const LossService& service,
                                                  compute::Pieces message,
                                                  compute::StopCheck,
                                                  ReserveMemory) {
  std::string bytes;
  for (const wire::Run& run : message) {
    bytes.append(reinterpret_cast<const char*>(run.data()), run.size());
  }
  v1::GetServerInfoRequest request;
  if (!request.ParseFromString(bytes)) {
    return NoMessage<v1::GetServerInfoRequest>();
  }
  wire::OutgoingMessage response;
  response.Append(service.GetServerInfo().SerializeAsString());
  return response.Release();
}

using Runner = absl::StatusOr<grpc::ByteBuffer> (*)(const LossService&,
                                                    compute::Pieces,
                                                    compute::StopCheck,
                                                    ReserveMemory);

struct Method {
  const char* path;
  Runner run;  // null: StreamLoss
};

constexpr Method kMethods[] = {
    {"/lossd.v1.LossService/ComputeLoss", RunComputeLoss},
    {"/lossd.v1.LossService/StreamLoss", nullptr},
    {"/lossd.v1.LossService/ComputeHessianVectorProduct", RunHessian},
    {"/lossd.v1.LossService/GetServerInfo", RunGetServerInfo},
};

}  // namespace

LossService::LossService(const Options& options, compute::ThreadPool& pool)
    : max_request_bytes_(options.max_request_bytes),
      memory_budget_bytes_(options.memory_budget_bytes),
      pool_(pool) {
  for (int method = 0; method < method_count(); ++method) {
    AddMethod(new grpc::internal::RpcServiceMethod(
        kMethods[method].path, grpc::internal::RpcMethod::BIDI_STREAMING,
        nullptr));
    MarkMethodRaw(method);
  }
}

absl::StatusOr<wire::LossResponse> LossService::ComputeLoss(
    const wire::LossRequest& request, compute::StopCheck stop_check,
    ReserveMemory reserve) const {
  const absl::StatusOr<LossQuery> query = LossQueryFromProto(request);
  if (!query.ok()) return query.status();
  const absl::Status fits = reserve(MemoryBytes(*query, pool_.threads()));
  if (!fits.ok()) return fits;
  wire::LossResponse response;
  const absl::StatusOr<compute::LossOutputs> outputs =
      LossOutputsToProto(*query, response);
  if (!outputs.ok()) return outputs.status();
  const absl::StatusOr<compute::LossSummary> summary =
      compute::ComputeLoss(query->loss.spec, query->options,
                           query->batch.batch(), *outputs, pool_, stop_check);
  if (!summary.ok()) return summary.status();
  computed_.Add(query->batch.rows, query->batch.classes);
  RestoreClassAxis(*query, response);
  LossSummaryToProto(*query, *summary, response);
  return response;
}

absl::StatusOr<wire::OutgoingTensor> LossService::ComputeHessianVectorProduct(
    const wire::HessianRequest& request, compute::StopCheck stop_check,
    ReserveMemory reserve) const {
  const absl::StatusOr<HessianQuery> query = HessianQueryFromProto(request);
  if (!query.ok()) return query.status();
  const absl::Status fits = reserve(MemoryBytes(*query, pool_.threads()));
  if (!fits.ok()) return fits;
  absl::StatusOr<wire::OutgoingTensor> product = ProductToProto(*query);
  if (!product.ok()) return product.status();
  const LossQuery& base = query->base;
  const absl::Status status = compute::ComputeHessianVectorProduct(
      base.loss.spec, base.options, base.batch.batch(), query->vector,
      product->raw.bytes(), pool_, stop_check);
  if (!status.ok()) return HessianErrorToProto(status);
  computed_.Add(base.batch.rows, base.batch.classes);
  RestoreClassAxis(base.batch.class_axis, *product);
  return product;
}

v1::GetServerInfoResponse LossService::GetServerInfo() const {
  v1::GetServerInfoResponse response;
  response.set_version(LOSSD_VERSION);
  const std::string_view kernel = compute::ActiveKernel();
  response.set_kernel(kernel.data(), kernel.size());
  response.set_compute_threads(pool_.threads());
  response.set_max_request_bytes(max_request_bytes_);
  response.set_memory_budget_bytes(memory_budget_bytes_);
  for (const std::string& loss : BuiltLosses()) response.add_losses(loss);
  response.add_data_types(v1::DATA_TYPE_FLOAT16);
  response.add_data_types(v1::DATA_TYPE_BFLOAT16);
  response.add_data_types(v1::DATA_TYPE_FLOAT32);
  response.add_data_types(v1::DATA_TYPE_FLOAT64);
  return response;
}

int LossService::method_count() {
  return static_cast<int>(std::size(kMethods));
}

const char* LossService::PathOf(int method) { return kMethods[method].path; }

std::string_view LossService::MethodName(int method) {
  const std::string_view path = PathOf(method);
  return path.substr(path.rfind('/') + 1);
}

bool LossService::IsStream(int method) {
  return kMethods[method].run == nullptr;
}

void LossService::RequestCall(int method, grpc::ServerContext* context,
                              Stream* stream,
                              grpc::ServerCompletionQueue* queue, void* tag) {
  RequestAsyncBidiStreaming(method, context, stream, queue, queue, tag);
}

absl::StatusOr<grpc::ByteBuffer> LossService::Run(int method,
                                                  grpc::ByteBuffer& request,
                                                  compute::StopCheck stop_check,
                                                  ReserveMemory reserve) const {
  const size_t request_bytes = request.Length();
  try {
    const wire::ReceivedMessage message(request);
    return kMethods[method].run(*this, message.pieces(), stop_check, reserve);
  } catch (const std::bad_alloc&) {
    return OutOfMemory(request_bytes);
  }
}

std::unique_ptr<StreamedBatch> LossService::NewStreamedBatch() const {
  return std::make_unique<StreamedBatch>(pool_, max_request_bytes_, computed_);
}

}  // namespace lossd::rpc
