#include "server/rpc/loss_service.h"

#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "server/compute/hessian.h"
#include "server/compute/kernel.h"
#include "server/rpc/convert.h"
#include "server/rpc/errors.h"
#include "server/rpc/hessian.h"

namespace lossd::rpc {
namespace {

// Frees `buffer`: beside the parsed request it would be the payload's second
// copy.
template <typename Request>
absl::StatusOr<Request> Parse(grpc::ByteBuffer& buffer) {
  Request request;
  bool parsed = false;
  {
    grpc::ProtoBufferReader reader(&buffer);
    parsed = reader.status().ok() && request.ParseFromZeroCopyStream(&reader);
  }
  buffer.Clear();
  if (!parsed) return NotAMessage(Request::descriptor()->full_name());
  return request;
}

template <typename Response>
absl::StatusOr<grpc::ByteBuffer> Serialize(const Response& response) {
  const size_t bytes = response.ByteSizeLong();
  if (bytes > static_cast<size_t>(kMaxMessageBytes)) {
    return ResponseTooLarge(static_cast<int64_t>(bytes), kMaxMessageBytes);
  }
  grpc::ByteBuffer buffer;
  constexpr int kBlockBytes = 1 << 20;
  grpc::ProtoBufferWriter writer(&buffer, kBlockBytes, static_cast<int>(bytes));
  response.SerializeToZeroCopyStream(&writer);
  return buffer;
}

using Runner = absl::StatusOr<grpc::ByteBuffer> (*)(const LossService&,
                                                    grpc::ByteBuffer&,
                                                    compute::StopCheck);

template <typename Request, typename Response,
          absl::StatusOr<Response> (LossService::*rpc)(
              const Request&, compute::StopCheck) const>
absl::StatusOr<grpc::ByteBuffer> RunRpc(const LossService& service,
                                        grpc::ByteBuffer& buffer,
                                        compute::StopCheck stop_check) {
  const absl::StatusOr<Request> request = Parse<Request>(buffer);
  if (!request.ok()) return request.status();
  const absl::StatusOr<Response> response =
      (service.*rpc)(*request, stop_check);
  if (!response.ok()) return response.status();
  return Serialize(*response);
}

struct Method {
  const char* path;
  Runner run;
};

constexpr Method kMethods[] = {
    {"/lossd.v1.LossService/ComputeLoss",
     RunRpc<v1::ComputeLossRequest, v1::ComputeLossResponse,
            &LossService::ComputeLoss>},
    {"/lossd.v1.LossService/StreamLoss",
     RunRpc<v1::StreamLossRequest, v1::StreamLossResponse,
            &LossService::StreamLoss>},
    {"/lossd.v1.LossService/ComputeHessianVectorProduct",
     RunRpc<v1::ComputeHessianVectorProductRequest,
            v1::ComputeHessianVectorProductResponse,
            &LossService::ComputeHessianVectorProduct>},
    {"/lossd.v1.LossService/GetServerInfo",
     RunRpc<v1::GetServerInfoRequest, v1::GetServerInfoResponse,
            &LossService::GetServerInfo>},
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

absl::StatusOr<v1::ComputeLossResponse> LossService::ComputeLoss(
    const v1::ComputeLossRequest& request,
    compute::StopCheck stop_check) const {
  const absl::StatusOr<LossQuery> query = LossQueryFromProto(request);
  if (!query.ok()) return query.status();
  v1::ComputeLossResponse response;
  const absl::StatusOr<compute::LossOutputs> outputs =
      LossOutputsToProto(*query, response);
  if (!outputs.ok()) return outputs.status();
  const absl::StatusOr<compute::LossSummary> summary =
      compute::ComputeLoss(query->loss.spec, query->options,
                           query->batch.batch(), *outputs, pool_, stop_check);
  if (!summary.ok()) return summary.status();
  RestoreClassAxis(*query, response);
  LossSummaryToProto(*query, *summary, response);
  return response;
}

absl::StatusOr<v1::StreamLossResponse> LossService::StreamLoss(
    const v1::StreamLossRequest&, compute::StopCheck) const {
  return NotBuilt("RPC \"StreamLoss\"", "");
}

absl::StatusOr<v1::ComputeHessianVectorProductResponse>
LossService::ComputeHessianVectorProduct(
    const v1::ComputeHessianVectorProductRequest& request,
    compute::StopCheck stop_check) const {
  const absl::StatusOr<HessianQuery> query = HessianQueryFromProto(request);
  if (!query.ok()) return query.status();
  v1::ComputeHessianVectorProductResponse response;
  const absl::StatusOr<absl::Span<std::byte>> product =
      ProductToProto(*query, response);
  if (!product.ok()) return product.status();
  const LossQuery& base = query->base;
  const absl::Status status = compute::ComputeHessianVectorProduct(
      base.loss.spec, base.options, base.batch.batch(),
      {&query->vector_bytes, 1}, *product, pool_, stop_check);
  if (!status.ok()) return HessianErrorToProto(status);
  RestoreClassAxis(base.batch.class_axis, *response.mutable_product());
  return response;
}

absl::StatusOr<v1::GetServerInfoResponse> LossService::GetServerInfo(
    const v1::GetServerInfoRequest&, compute::StopCheck) const {
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

void LossService::RequestCall(int method, grpc::ServerContext* context,
                              Stream* stream,
                              grpc::ServerCompletionQueue* queue, void* tag) {
  RequestAsyncBidiStreaming(method, context, stream, queue, queue, tag);
}

absl::StatusOr<grpc::ByteBuffer> LossService::Run(
    int method, grpc::ByteBuffer& request,
    compute::StopCheck stop_check) const {
  const size_t request_bytes = request.Length();
  try {
    return kMethods[method].run(*this, request, stop_check);
  } catch (const std::bad_alloc&) {
    return OutOfMemory(request_bytes);
  }
}

}  // namespace lossd::rpc
