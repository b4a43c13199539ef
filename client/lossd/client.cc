#include "client/lossd/client.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "client/lossd/connection.h"
#include "client/lossd/convert.h"
#include "client/lossd/retry.h"
#include "client/lossd/tls.h"
#include "client/lossd/transfer.h"
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

}  // namespace

struct Client::Impl {
  Impl(const ClientOptions& options,
       const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : connection(options, credentials),
        loss_service(v1::LossService::NewStub(connection.channel())),
        health_service(health_v1::Health::NewStub(connection.channel())) {}

  // Calls with a generated message, with retries.
  absl::Status Call(
      const RetryOptions& retry, const CallOptions& call,
      absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) const {
    return CallWithRetries(retry, connection.options().target,
                           *connection.channel(), call.deadline, attempt);
  }

  Connection connection;
  const std::unique_ptr<v1::LossService::StubInterface> loss_service;
  const std::unique_ptr<health_v1::Health::StubInterface> health_service;
};

absl::StatusOr<Client> Client::Connect(const ClientOptions& options) {
  if (options.target.empty()) {
    return absl::InvalidArgumentError("the target is empty");
  }
  absl::Status status = CheckRetryOptions(options.retry);
  if (!status.ok()) return status;
  const auto credentials = MakeCredentials(options);
  if (!credentials.ok()) return credentials.status();
  return Client(std::make_unique<Impl>(options, *credentials));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

template <typename T, typename G>
absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<T>& batch, const LossOptions& options, const CallOptions& call,
    const LossOutputs<T, G>& outputs) const {
  return TransferLoss(impl_->connection, batch, options, call, outputs);
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
  Connection& connection = impl_->connection;
  const auto answer = connection.Call(
      "ComputeHessianVectorProduct",
      HessianRequestBytes(std::move(request), RawBytes(batch.logits),
                          RawBytes(vector), connection.memory()),
      call.deadline);
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
  const absl::Status status = impl_->Call(
      impl_->connection.options().retry, call,
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
  const absl::Status status =
      impl_->Call({.max_attempts = 1}, call, [&](grpc::ClientContext& context) {
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
