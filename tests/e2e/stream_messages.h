// The messages of a StreamLoss of zero logits, 1 MiB a chunk, all labels 0.
#ifndef LOSSD_TESTS_E2E_STREAM_MESSAGES_H_
#define LOSSD_TESTS_E2E_STREAM_MESSAGES_H_

#include <cstdint>
#include <string>

#include "lossd/v1/loss_service.pb.h"

namespace lossd {

inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kStreamClasses = 65536;
inline constexpr int64_t kChunkRows = 4;
static_assert(kChunkRows * kStreamClasses * sizeof(float) == kMiB);

inline v1::StreamLossRequest StreamHeader(int64_t chunks) {
  v1::StreamLossRequest message;
  v1::ComputeLossRequest& header = *message.mutable_header();
  const int64_t rows = chunks * kChunkRows;
  header.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  header.mutable_logits()->add_shape(rows);
  header.mutable_logits()->add_shape(kStreamClasses);
  header.mutable_labels()->set_data_type(v1::DATA_TYPE_INT32);
  header.mutable_labels()->add_shape(rows);
  header.mutable_labels()->set_raw(std::string(rows * sizeof(int32_t), '\0'));
  return message;
}

inline v1::StreamLossRequest StreamChunk() {
  v1::StreamLossRequest message;
  message.mutable_chunk()->set_raw(std::string(kMiB, '\0'));
  return message;
}

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_STREAM_MESSAGES_H_
