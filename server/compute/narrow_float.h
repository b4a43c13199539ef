// Float16 and bfloat16 as they lie in memory, and their conversions.
#ifndef LOSSD_SERVER_COMPUTE_NARROW_FLOAT_H_
#define LOSSD_SERVER_COMPUTE_NARROW_FLOAT_H_

#include <bit>
#include <cstdint>

namespace lossd::compute {

// IEEE 754 binary16: 5 exponent bits, 10 mantissa bits.
struct Float16 {
  static constexpr int kMantissaBits = 10;
  static constexpr int kMaxExponent = 15;
  uint16_t bits = 0;
};

// The upper half of an IEEE 754 binary32: 8 exponent bits, 7 mantissa bits.
struct BFloat16 {
  static constexpr int kMantissaBits = 7;
  static constexpr int kMaxExponent = 127;
  uint16_t bits = 0;
};

// Exact. A NaN keeps its sign and the bits of its payload, and becomes quiet.
constexpr double ToDouble(float value) { return value; }
constexpr double ToDouble(double value) { return value; }
template <typename Narrow>
constexpr double ToDouble(Narrow value) {
  constexpr int kBits = Narrow::kMantissaBits;
  constexpr int kBias = Narrow::kMaxExponent;
  const uint64_t sign = static_cast<uint64_t>(value.bits >> 15) << 63;
  const int exponent = (value.bits & 0x7fff) >> kBits;
  const uint64_t mantissa = value.bits & ((1u << kBits) - 1);
  if (exponent == 0) {  // zero or subnormal: a multiple of the least number
    const auto quantum = std::bit_cast<double>(
        static_cast<uint64_t>(1024 - kBias - kBits) << 52);
    const double size = static_cast<double>(mantissa) * quantum;
    return sign != 0 ? -size : size;
  }
  uint64_t wide = sign | mantissa << (52 - kBits);
  if (exponent == 2 * kBias + 1) {
    wide |= uint64_t{0x7ff} << 52 | (mantissa != 0 ? uint64_t{1} << 51 : 0);
  } else {
    wide |= static_cast<uint64_t>(exponent - kBias + 1023) << 52;
  }
  return std::bit_cast<double>(wide);
}

// Rounds once: to nearest, ties to even, subnormal results included; infinite
// from the middle between the largest number and the next power of two on. A
// NaN becomes the canonical quiet one: mantissa 100..., no sign.
template <typename T>
constexpr T FromDouble(double value) {
  constexpr int kBits = T::kMantissaBits;
  constexpr int kBias = T::kMaxExponent;
  constexpr uint32_t kInfinity = (2u * kBias + 1) << kBits;
  const auto wide = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint32_t>(wide >> 63) << 15;
  const int exponent = static_cast<int>(wide >> 52 & 0x7ff) - 1023;
  const uint64_t fraction = wide & ((uint64_t{1} << 52) - 1);
  uint32_t size;
  if (exponent == 1024) {
    if (fraction != 0) return T{kInfinity | 1u << (kBits - 1)};
    size = kInfinity;
  } else if (exponent > kBias) {
    size = kInfinity;
  } else {
    // The bits that go; more for a subnormal result.
    const int missing = exponent < 1 - kBias ? 1 - kBias - exponent : 0;
    const int drop = 52 - kBits + missing;
    if (drop > 53) return T{static_cast<uint16_t>(sign)};
    const uint64_t mantissa = fraction | uint64_t{1} << 52;
    const uint64_t rest = mantissa & ((uint64_t{1} << drop) - 1);
    const uint64_t half = uint64_t{1} << (drop - 1);
    uint64_t rounded = mantissa >> drop;
    if (rest > half || (rest == half && (rounded & 1) != 0)) ++rounded;
    // A carry out of the mantissa moves to the next exponent by itself.
    size = static_cast<uint32_t>(rounded);
    if (missing == 0) {
      size += static_cast<uint32_t>(exponent + kBias - 1) << kBits;
    }
  }
  return T{static_cast<uint16_t>(sign | size)};
}
template <>
constexpr float FromDouble(double value) {
  return static_cast<float>(value);
}
template <>
constexpr double FromDouble(double value) {
  return value;
}

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_NARROW_FLOAT_H_
