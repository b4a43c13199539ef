#ifndef LOSSD_TESTS_CLIENT_RECORDER_H_
#define LOSSD_TESTS_CLIENT_RECORDER_H_

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "tests/client/fake_server.h"

namespace lossd::testing {

template <typename T>
void SetRaw(v1::Tensor* tensor, v1::DataType type,
            const std::vector<T>& values) {
  tensor->set_data_type(type);
  tensor->set_raw(values.data(), values.size() * sizeof(T));
}

template <typename T>
std::vector<T> Values(const v1::Tensor& tensor) {
  std::vector<T> values(tensor.raw().size() / sizeof(T));
  if (values.empty()) return values;
  std::memcpy(values.data(), tensor.raw().data(), tensor.raw().size());
  return values;
}

// A server that keeps the last request and answers what it was told to. The
// lock orders the server's threads and the test's, as gRPC does in code that
// ThreadSanitizer does not see.
class Recorder {
 public:
  Recorder() {
    server_.OnHessianVectorProduct([this](const auto& request, auto& response) {
      std::lock_guard<std::mutex> lock(mutex_);
      hessian_request_ = request;
      response = hessian_response_;
      return grpc::Status::OK;
    });
  }

  std::string target() const { return server_.target(); }
  FakeServer& server() { return server_; }

  v1::ComputeLossRequest request() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return request_;
  }
  v1::ComputeHessianVectorProductRequest hessian_request() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return hessian_request_;
  }

  void Answer(const v1::ComputeLossResponse& response) {
    std::lock_guard<std::mutex> lock(mutex_);
    response_ = response;
  }
  void Answer(const v1::ComputeHessianVectorProductResponse& response) {
    std::lock_guard<std::mutex> lock(mutex_);
    hessian_response_ = response;
  }

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  v1::ComputeLossRequest request_;
  v1::ComputeLossResponse response_;
  v1::ComputeHessianVectorProductRequest hessian_request_;
  v1::ComputeHessianVectorProductResponse hessian_response_;

  FakeServer server_{[this](auto&, const auto& request, auto& response) {
    std::lock_guard<std::mutex> lock(mutex_);
    request_ = request;
    response = response_;
    return grpc::Status::OK;
  }};
};

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_CLIENT_RECORDER_H_
