// The core's element types in tests: named, compared, printed and widened.
#ifndef LOSSD_TESTS_SUPPORT_ELEMENTS_H_
#define LOSSD_TESTS_SUPPORT_ELEMENTS_H_

#include <cstring>
#include <iomanip>
#include <ostream>
#include <type_traits>
#include <vector>

#include "server/compute/element_type.h"
#include "server/compute/narrow_float.h"

namespace lossd::compute {

// By their bits: the zeros differ, and a NaN is equal to itself.
inline bool operator==(Float16 a, Float16 b) { return a.bits == b.bits; }
inline bool operator==(BFloat16 a, BFloat16 b) { return a.bits == b.bits; }

// What GoogleTest shows: the number and its bits.
template <typename Narrow>
void PrintNarrow(Narrow value, std::ostream* out) {
  const std::ios_base::fmtflags flags = out->flags();
  *out << ToDouble(value) << " (0x" << std::hex << value.bits << ")";
  out->flags(flags);
}
inline void PrintTo(Float16 value, std::ostream* out) {
  PrintNarrow(value, out);
}
inline void PrintTo(BFloat16 value, std::ostream* out) {
  PrintNarrow(value, out);
}

}  // namespace lossd::compute

namespace lossd::testing {

template <typename T>
constexpr compute::ElementType ElementTypeOf() {
  if (std::is_same_v<T, compute::Float16>) {
    return compute::ElementType::kFloat16;
  }
  if (std::is_same_v<T, compute::BFloat16>) {
    return compute::ElementType::kBFloat16;
  }
  return std::is_same_v<T, float> ? compute::ElementType::kFloat32
                                  : compute::ElementType::kFloat64;
}

// Exact.
template <typename T>
double Wide(T value) {
  return compute::ToDouble(value);
}

template <typename T>
std::vector<double> Wide(const std::vector<T>& values) {
  std::vector<double> wide;
  wide.reserve(values.size());
  for (const T& value : values) wide.push_back(Wide(value));
  return wide;
}

// Each value rounded once to T.
template <typename T>
std::vector<T> Narrowed(const std::vector<double>& values) {
  std::vector<T> narrow;
  narrow.reserve(values.size());
  for (double value : values) narrow.push_back(compute::FromDouble<T>(value));
  return narrow;
}

// Each value rounded once to `type`, and widened again.
inline std::vector<double> Rounded(const std::vector<double>& values,
                                   compute::ElementType type) {
  return compute::WithElementType(
      type, [&](auto zero) { return Wide(Narrowed<decltype(zero)>(values)); });
}

// NaN like other bits.
template <typename T>
requires std::is_trivially_copyable_v<T>
bool SameBits(T a, T b) { return std::memcmp(&a, &b, sizeof(T)) == 0; }

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_ELEMENTS_H_
