// gRPC's buffers of bytes, in and out of strings.
#ifndef LOSSD_TESTS_CLIENT_BUFFERS_H_
#define LOSSD_TESTS_CLIENT_BUFFERS_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <vector>

namespace lossd::testing {

inline std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return "no buffer";
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// In slices of at most `length` bytes.
inline grpc::ByteBuffer BufferOf(const std::string& bytes, size_t length) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += length) {
    slices.emplace_back(bytes.substr(at, length));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_CLIENT_BUFFERS_H_
