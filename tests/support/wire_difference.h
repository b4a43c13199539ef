// The hand-written wire code against protobuf's own.
#ifndef LOSSD_TESTS_SUPPORT_WIRE_DIFFERENCE_H_
#define LOSSD_TESTS_SUPPORT_WIRE_DIFFERENCE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace lossd::testing {

enum class WireMessage { kLossRequest, kHessianRequest, kStreamRequest };
inline constexpr int kWireMessages = 3;

// Parses `bytes`, which come in pieces of `piece_bytes` (the last one shorter),
// both ways. Returns what differs: whether they are a message, or its contents,
// unknown fields aside, which the hand-written code drops in tensors. Empty:
// nothing.
std::string DifferenceOf(WireMessage kind, std::string_view bytes,
                         size_t piece_bytes);

// Whether protobuf takes `bytes`.
bool IsMessage(WireMessage kind, const std::string& bytes);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_WIRE_DIFFERENCE_H_
