#ifndef LOSSD_SERVER_COMPUTE_ELEMENT_TYPE_H_
#define LOSSD_SERVER_COMPUTE_ELEMENT_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "server/compute/narrow_float.h"

namespace lossd::compute {

// The type of a tensor's elements.
enum class ElementType { kFloat16, kBFloat16, kFloat32, kFloat64 };

// Inlined wherever it stands: a call from code of a wider instruction set into
// that of the baseline costs more than the conversion it makes.
#define LOSSD_ALWAYS_INLINE [[gnu::always_inline]] inline

// Calls f with a value of the C++ type of `type`, 0, and returns what it does.
template <typename F>
LOSSD_ALWAYS_INLINE constexpr auto WithElementType(ElementType type,
                                                   const F& f) {
  switch (type) {
    case ElementType::kFloat16:
      return f(Float16());
    case ElementType::kBFloat16:
      return f(BFloat16());
    case ElementType::kFloat32:
      return f(float());
    case ElementType::kFloat64:
      break;
  }
  return f(double());
}

// The type of which T holds an element.
template <typename T>
constexpr ElementType ElementTypeOf();
template <>
constexpr ElementType ElementTypeOf<Float16>() {
  return ElementType::kFloat16;
}
template <>
constexpr ElementType ElementTypeOf<BFloat16>() {
  return ElementType::kBFloat16;
}
template <>
constexpr ElementType ElementTypeOf<float>() {
  return ElementType::kFloat32;
}
template <>
constexpr ElementType ElementTypeOf<double>() {
  return ElementType::kFloat64;
}

// The size of one element, in bytes.
constexpr int64_t ElementBytes(ElementType type) {
  return WithElementType(
      type, [](auto zero) { return static_cast<int64_t>(sizeof(zero)); });
}

// Element `i` of `elements`, at any alignment.
template <typename T>
LOSSD_ALWAYS_INLINE T LoadElement(const std::byte* elements, int64_t i) {
  T value;
  std::memcpy(&value, elements + i * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}
LOSSD_ALWAYS_INLINE double LoadElement(ElementType type,
                                       const std::byte* elements, int64_t i) {
  return WithElementType(type, [&](auto zero) {
    return ToDouble(LoadElement<decltype(zero)>(elements, i));
  });
}

// Rounds `value` to `type`, once, and stores it as element `i`.
template <typename T>
LOSSD_ALWAYS_INLINE void StoreElement(T value, std::byte* elements, int64_t i) {
  std::memcpy(elements + i * static_cast<int64_t>(sizeof(T)), &value,
              sizeof(T));
}
LOSSD_ALWAYS_INLINE void StoreElement(ElementType type, double value,
                                      std::byte* elements, int64_t i) {
  WithElementType(type, [&](auto zero) {
    StoreElement(FromDouble<decltype(zero)>(value), elements, i);
  });
}

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_ELEMENT_TYPE_H_
