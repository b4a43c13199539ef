#include "client/lossd/client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/lossd/channel.h"
#include "client/lossd/convert.h"
#include "client/lossd/request_memory.h"
#include "client/lossd/retry.h"
#include "client/lossd/wire.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "lossd/v1/loss_service.grpc.pb.h"

namespace lossd {
namespace {

namespace health_v1 = grpc::health::v1;

Health HealthFromProto(health_v1::HealthCheckResponse::ServingStatus status) {
  switch (status) {
    case health_v1::HealthCheckResponse::SERVING:
      return Health::kServing;
    case health_v1::HealthCheckResponse::NOT_SERVING:
      return Health::kNotServing;
    default:
      return Health::kUnknown;
  }
}

// One attempt at a unary call, bytes to bytes.
grpc::Status CallOnce(grpc::GenericStub& stub, const std::string& method,
                      grpc::ClientContext& context,
                      const grpc::ByteBuffer& request,
                      grpc::ByteBuffer* answer) {
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(answer, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace

struct Client::Impl {
  explicit Impl(const ClientOptions& options)
      : options(options),
        channel(MakeChannel(options)),
        bytes_service(std::make_unique<grpc::GenericStub>(channel)),
        loss_service(v1::LossService::NewStub(channel)),
        health_service(health_v1::Health::NewStub(channel)) {}

  // Calls the method of LossService, with retries.
  absl::StatusOr<grpc::ByteBuffer> Call(const char* method,
                                        const grpc::ByteBuffer& request,
                                        const CallOptions& call) const {
    const std::string path =
        absl::StrCat("/", v1::LossService::service_full_name(), "/", method);
    grpc::ByteBuffer answer;
    const absl::Status status = CallWithRetries(
        options.retry, options.target, call.deadline,
        [&](grpc::ClientContext& context) {
          return CallOnce(*bytes_service, path, context, request, &answer);
        });
    if (!status.ok()) return status;
    return answer;
  }

  const ClientOptions options;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<grpc::GenericStub> bytes_service;
  const std::unique_ptr<v1::LossService::StubInterface> loss_service;
  const std::unique_ptr<health_v1::Health::StubInterface> health_service;
  const std::shared_ptr<RequestMemory> memory =
      std::make_shared<RequestMemory>();
};

absl::StatusOr<Client> Client::Connect(const ClientOptions& options) {
  if (options.target.empty()) {
    return absl::InvalidArgumentError("the target is empty");
  }
  absl::Status status = CheckRetryOptions(options.retry);
  if (!status.ok()) return status;
  return Client(std::make_unique<Impl>(options));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

template <typename T, typename G>
absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<T>& batch, const LossOptions& options, const CallOptions& call,
    const LossOutputs<T, G>& outputs) const {
  v1::ComputeLossRequest request;
  absl::Status status = LossRequestToProto(batch, options, outputs, &request);
  if (!status.ok()) return status;

  const auto answer =
      impl_->Call("ComputeLoss",
                  LossRequestBytes(std::move(request), RawBytes(batch.logits),
                                   *impl_->memory),
                  call);
  if (!answer.ok()) return answer.status();
  return LossSummaryFromAnswer(*answer, outputs);
}

template <typename T>
absl::Status Client::ComputeHessianVectorProduct(const Batch<T>& batch,
                                                 const LossOptions& options,
                                                 absl::Span<const T> vector,
                                                 const CallOptions& call,
                                                 absl::Span<T> product) const {
  v1::ComputeHessianVectorProductRequest request;
  absl::Status status =
      HessianRequestToProto<T>(batch, options, vector, product, &request);
  if (!status.ok()) return status;

  using Response = v1::ComputeHessianVectorProductResponse;
  const auto answer = impl_->Call(
      "ComputeHessianVectorProduct",
      HessianRequestBytes(std::move(request), RawBytes(batch.logits),
                          RawBytes(vector), *impl_->memory),
      call);
  if (!answer.ok()) return answer.status();
  Response rest;
  return ReadAnswer(
      *answer, {FieldFor("product", Response::kProductFieldNumber, product)},
      &rest);
}

absl::StatusOr<ServerInfo> Client::GetServerInfo(
    const CallOptions& call) const {
  const v1::GetServerInfoRequest request;
  v1::GetServerInfoResponse response;
  absl::Status status = CallWithRetries(
      impl_->options.retry, impl_->options.target, call.deadline,
      [&](grpc::ClientContext& context) {
        return impl_->loss_service->GetServerInfo(&context, request, &response);
      });
  if (!status.ok()) return status;
  return ServerInfoFromProto(response);
}

absl::StatusOr<Health> Client::CheckHealth(const std::string& service,
                                           const CallOptions& call) const {
  health_v1::HealthCheckRequest request;
  request.set_service(service);
  health_v1::HealthCheckResponse response;
  absl::Status status = CallWithRetries(
      {.max_attempts = 1}, impl_->options.target, call.deadline,
      [&](grpc::ClientContext& context) {
        return impl_->health_service->Check(&context, request, &response);
      });
  if (!status.ok()) return status;
  return HealthFromProto(response.status());
}

template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<float>&, const LossOptions&, const CallOptions&,
    const LossOutputs<float>&) const;
template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<float>&, const LossOptions&, const CallOptions&,
    const LossOutputs<float, double>&) const;
template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<double>&, const LossOptions&, const CallOptions&,
    const LossOutputs<double>&) const;
template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<double>&, const LossOptions&, const CallOptions&,
    const LossOutputs<double, float>&) const;
template absl::Status Client::ComputeHessianVectorProduct(
    const Batch<float>&, const LossOptions&, absl::Span<const float>,
    const CallOptions&, absl::Span<float>) const;
template absl::Status Client::ComputeHessianVectorProduct(
    const Batch<double>&, const LossOptions&, absl::Span<const double>,
    const CallOptions&, absl::Span<double>) const;

}  // namespace lossd
