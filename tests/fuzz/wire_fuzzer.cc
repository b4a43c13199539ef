// libFuzzer: bytes that the hand-written wire code and protobuf's parsers
// disagree about, or that make either misbehave.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/support/wire_difference.h"

using lossd::testing::DifferenceOf;
using lossd::testing::kWireMessages;
using lossd::testing::WireMessage;

// The first byte says which message the rest is and how it is cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr size_t kPieces[] = {1, 2, 5, 64, 1 << 20};
  const auto kind = static_cast<WireMessage>(data[0] % kWireMessages);
  const size_t piece_bytes =
      kPieces[data[0] / kWireMessages % std::size(kPieces)];
  const std::string difference = DifferenceOf(
      kind, {reinterpret_cast<const char*>(data) + 1, size - 1}, piece_bytes);
  if (difference.empty()) return 0;
  std::fprintf(stderr, "the parsers differ: %s\n", difference.c_str());
  std::abort();
}
