// What the engine needs beyond Highway 1.0.3. Included once per instruction
// set.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_VECTOR_MATH_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_MATH_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_MATH_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_VECTOR_MATH_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "hwy/highway.h"
#include "server/compute/narrow_float.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The engine's vectors: float64, at most 8 lanes, so that 16 virtual lanes are
// a whole number of vectors on every target.
using Doubles = hn::CappedTag<double, 8>;
using Floats = hn::Rebind<float, Doubles>;
using Bits = hn::RebindToSigned<Doubles>;
using VecD = hn::Vec<Doubles>;
inline constexpr int64_t kLanes = hn::MaxLanes(Doubles());

// a * b + c with one rounding. Highway's own is two on the emulated target.
HWY_INLINE VecD FusedMulAdd(VecD a, VecD b, VecD c) {
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
  const Doubles d;
  HWY_ALIGN double as[kLanes], bs[kLanes], cs[kLanes];
  hn::Store(a, d, as);
  hn::Store(b, d, bs);
  hn::Store(c, d, cs);
  for (int64_t i = 0; i < kLanes; ++i) cs[i] = std::fma(as[i], bs[i], cs[i]);
  return hn::Load(d, cs);
#else
  return hn::MulAdd(a, b, c);
#endif
}

// table[low three bits of index], per lane; `table` has 8 entries, aligned.
HWY_INLINE VecD LookUp8(const double* table, hn::Vec<Bits> index) {
  const Doubles d;
#if HWY_TARGET == HWY_AVX3
  return VecD{_mm512_permutexvar_pd(index.raw, hn::Load(d, table).raw)};
#else
  return hn::GatherIndex(d, table, hn::And(index, hn::Set(Bits(), 7)));
#endif
}

// table[low four bits of index], per lane; `table` has 16 entries, aligned.
HWY_INLINE VecD LookUp16(const double* table, hn::Vec<Bits> index) {
  const Doubles d;
#if HWY_TARGET == HWY_AVX3
  return VecD{_mm512_permutex2var_pd(hn::Load(d, table).raw, index.raw,
                                     hn::Load(d, table + 8).raw)};
#else
  return hn::GatherIndex(d, table, hn::And(index, hn::Set(Bits(), 15)));
#endif
}

// Whether each lane of `a` has one of the bits of `mask`.
HWY_INLINE bool AllHaveOneOf(hn::Vec<Bits> a, hn::Vec<Bits> mask) {
#if HWY_TARGET == HWY_AVX3
  return _mm512_testn_epi64_mask(a.raw, mask.raw) == 0;
#else
  const Bits di;
  return hn::AllFalse(di, hn::Eq(hn::And(a, mask), hn::Zero(di)));
#endif
}

// s * u + s, and 0 where x < low; NaN stays NaN.
HWY_INLINE VecD FusedMulAddSelf(VecD s, VecD u, VecD x, VecD low) {
#if HWY_TARGET == HWY_AVX3
  const __mmask8 keep = _mm512_cmp_pd_mask(x.raw, low.raw, _CMP_NLT_UQ);
  return VecD{_mm512_maskz_fmadd_pd(keep, s.raw, u.raw, s.raw)};
#else
  return hn::IfThenZeroElse(hn::Lt(x, low), FusedMulAdd(s, u, s));
#endif
}

// What Highway 1.0.3 does in software on the emulated target truncates.
#define LOSSD_EMULATES_NARROW \
  (HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR)

// p[0 .. lanes of df) as float32, exactly; NaN stays NaN.
template <class DF>
HWY_INLINE hn::Vec<DF> LoadFloats(DF df, const float* p) {
  return hn::LoadU(df, p);
}
template <class DF>
HWY_INLINE hn::Vec<DF> LoadFloats(DF df, const BFloat16* p) {
  const hn::Rebind<uint16_t, DF> d16;
  const hn::RebindToUnsigned<DF> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}
template <class DF>
HWY_INLINE hn::Vec<DF> LoadFloats(DF df, const Float16* p) {
#if LOSSD_EMULATES_NARROW
  HWY_ALIGN float floats[hn::MaxLanes(DF())];
  for (size_t i = 0; i < hn::Lanes(df); ++i) {
    floats[i] = static_cast<float>(ToDouble(p[i]));
  }
  return hn::Load(df, floats);
#else
  const hn::Rebind<hwy::float16_t, DF> d16;
  return hn::PromoteTo(
      df, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

// p[0 .. kLanes) as float64.
template <typename T>
HWY_INLINE VecD LoadAsDouble(const T* p) {
  return hn::PromoteTo(Doubles(), LoadFloats(Floats(), p));
}
HWY_INLINE VecD LoadAsDouble(const double* p) {
  return hn::LoadU(Doubles(), p);
}

// Rounds to nearest, ties to even; infinite beyond float32's range, where
// Highway 1.0.3 on the emulated target stays at the largest number.
HWY_INLINE hn::Vec<Floats> ToFloats(VecD x) {
  const Floats df;
#if LOSSD_EMULATES_NARROW
  HWY_ALIGN double wide[kLanes];
  HWY_ALIGN float narrow[kLanes];
  hn::Store(x, Doubles(), wide);
  for (int64_t i = 0; i < kLanes; ++i) narrow[i] = FromDouble<float>(wide[i]);
  return hn::Load(df, narrow);
#else
  return hn::DemoteTo(df, x);
#endif
}

// Rounds to nearest, ties to even. REQUIRES: no NaN.
template <class DF>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, DF>> NarrowBits(DF, hn::Vec<DF> x,
                                                        BFloat16) {
  const hn::RebindToUnsigned<DF> d32;
  const auto bits = hn::BitCast(d32, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, uint32_t{1}));
  const auto rounded =
      hn::Add(bits, hn::Add(odd, hn::Set(d32, uint32_t{0x7fff})));
  return hn::DemoteTo(
      hn::Rebind<uint16_t, DF>(),
      hn::BitCast(hn::RebindToSigned<DF>(), hn::ShiftRight<16>(rounded)));
}
template <class DF>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, DF>> NarrowBits([[maybe_unused]] DF df,
                                                        hn::Vec<DF> x,
                                                        Float16) {
  const hn::Rebind<uint16_t, DF> d16;
#if LOSSD_EMULATES_NARROW
  HWY_ALIGN float floats[hn::MaxLanes(DF())];
  HWY_ALIGN uint16_t bits[hn::MaxLanes(DF())];
  hn::Store(x, df, floats);
  for (size_t i = 0; i < hn::Lanes(df); ++i) {
    bits[i] = FromDouble<Float16>(floats[i]).bits;
  }
  return hn::Load(d16, bits);
#else
  return hn::BitCast(d16, hn::DemoteTo(hn::Rebind<hwy::float16_t, DF>(), x));
#endif
}

// A double-double: the unevaluated sum hi + lo, |lo| <= ulp(hi) / 2.
struct VecPair {
  // Not left to the compiler: its own are code of the baseline's instruction
  // set, into which GCC inlines no constructor of NEON's vectors.
  HWY_INLINE VecPair() {}
  HWY_INLINE VecPair(VecD high, VecD low) : hi(high), lo(low) {}

  VecD hi;
  VecD lo;
};

// a + b and its rounding error (Knuth).
HWY_INLINE VecPair TwoSum(VecD a, VecD b) {
  const VecD sum = hn::Add(a, b);
  const VecD part = hn::Sub(sum, a);
  return {sum, hn::Add(hn::Sub(a, hn::Sub(sum, part)), hn::Sub(b, part))};
}

// The same where |a| >= |b| (Dekker).
HWY_INLINE VecPair FastTwoSum(VecD a, VecD b) {
  const VecD sum = hn::Add(a, b);
  return {sum, hn::Sub(b, hn::Sub(sum, a))};
}

// a * b and its rounding error.
HWY_INLINE VecPair TwoProduct(VecD a, VecD b) {
  const VecD product = hn::Mul(a, b);
  return {product, hn::Neg(FusedMulAdd(hn::Neg(a), b, product))};
}

// Polynomial with coefficients lowest first, by Horner's rule.
template <size_t kTerms>
HWY_INLINE VecD Polynomial(VecD x, const double (&coefficients)[kTerms]) {
  const Doubles d;
  VecD sum = hn::Set(d, coefficients[kTerms - 1]);
  for (size_t i = kTerms - 1; i-- > 0;) {
    sum = FusedMulAdd(sum, x, hn::Set(d, coefficients[i]));
  }
  return sum;
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
