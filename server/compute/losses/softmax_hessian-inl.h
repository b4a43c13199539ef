// What the Hessians of losses of p = softmax(a) have in common. Included once
// per instruction set.
//
// With M the class of the largest logit, e_j = exp(a_j - a_M), u_j = v_j - v_M,
// S = sum e_j and W = sum e_j u_j:  p_i (v_i - p . v) = e_i (S u_i - W) / S^2.
// So equal v make exact zeros, and a class that has nearly all of the
// probability does not cancel against itself. A class k apart, M or the label,
// is summed for itself.
#if defined(LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_HESSIAN_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_HESSIAN_INL_H_
#undef LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_HESSIAN_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_LOSSES_SOFTMAX_HESSIAN_INL_H_
#endif

#include <algorithm>
#include <cmath>

#include "hwy/highway.h"
#include "server/compute/exact/chunks-inl.h"
#include "server/compute/exact/row_scratch.h"
#include "server/compute/exact/search-inl.h"
#include "server/compute/exact/slow_sums-inl.h"
#include "server/compute/exact/softcap-inl.h"
#include "server/compute/exact/vector_exp-inl.h"
#include "server/compute/losses/hessian_row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// A row's sums; those that are not said to be large are not scaled.
struct SoftmaxSums {
  Pair others;         // of 2^512 e_j over j != k
  Pair apart;          // 2^512 e_k
  Pair others_vector;  // of 2^512 e_j u_j over j != k
  Pair apart_vector;   // u_k

  // S, and W.
  Pair total() const { return Scaled(others + apart, 0x1p-512); }
  Pair vector_total() const {
    return Scaled(others_vector + apart * apart_vector, 0x1p-512);
  }
};

// Capped logits, and the vector that a softmax over them is multiplied by: v
// times their slopes, in pairs.
struct CappedVector {
  const CappedLogits* logits = nullptr;
  double* vector = nullptr;  // [classes] and a chunk of room, to fill
  double* vector_low = nullptr;
};

// One row of probabilities softmax(logit_scale z), or of capped logits, and its
// vector.
class SoftmaxRow {
 public:
  // Takes v's size out of it, where products could leave float64's range.
  SoftmaxRow(const HessianRow& row, Pair logit_scale, RowScratch& scratch,
             const CappedVector& capped = {})
      : row_(row),
        logit_scale_(logit_scale),
        capped_(capped),
        exps_(RowScratch::Room(scratch.target_pairs, row.classes + kChunk)),
        exps_low_(
            RowScratch::Room(scratch.target_pairs_low, row.classes + kChunk)),
        largest_class_(FirstIndexOf<double>(
            row.max, reinterpret_cast<const std::byte*>(row.logits),
            row.classes)) {
    ScaleVector();
    if (capped_.logits != nullptr) CapVector();
  }

  int64_t largest_class() const { return largest_class_; }
  // v_M, v's size taken out as it is from all results.
  Pair largest_vector() const { return VectorAt(largest_class_); }
  double vector_size() const { return vector_size_; }

  // 2^512 e_i, times a factor that takes the 2^-512.
  HWY_INLINE VecPair ScaledExp(int64_t i, double scale) const {
    const Doubles d;
    return Scaled(VecPair{hn::LoadU(d, exps_ + i), hn::LoadU(d, exps_low_ + i)},
                  scale);
  }
  // u_i.
  HWY_INLINE VecPair Shifted(int64_t i) const {
    const Doubles d;
    if (capped_.logits != nullptr) {
      return Add({hn::LoadU(d, capped_.vector + i),
                  hn::LoadU(d, capped_.vector_low + i)},
                 Broadcast(-largest_vector()));
    }
    return TwoSum(hn::LoadU(d, row_.vector + i),
                  hn::Set(d, -largest_vector().hi));
  }

  // Also keeps the exponentials, for Write.
  SoftmaxSums Sum(int64_t apart);

  // Fills the product with p_i factor (slope u_i + offset), p_i being
  // e_i / total.
  void Write(Pair factor, Pair total, Pair slope, Pair offset);

  // Sets the product of one class, v's size put back.
  void Set(int64_t i, Pair product) {
    const Pair g = Scaled(product, vector_size_);
    row_.product[i] = std::isfinite(g.hi) ? g.hi + g.lo + 0.0 : g.hi;
  }

 private:
  void ScaleVector();
  void CapVector();
  Pair VectorAt(int64_t i) const {
    if (capped_.logits == nullptr) return {row_.vector[i], 0.0};
    return {capped_.vector[i], capped_.vector_low[i]};
  }
  // scale (z_i - z_M).
  HWY_INLINE VecPair Below(int64_t i) const {
    const Doubles d;
    if (capped_.logits != nullptr) {
      return {hn::LoadU(d, capped_.logits->below + i),
              hn::LoadU(d, capped_.logits->below_low + i)};
    }
    const VecD scale = hn::Set(d, logit_scale_.hi);
    const VecPair below =
        TwoSum(hn::LoadU(d, row_.logits + i), hn::Set(d, -row_.max));
    const VecPair product = TwoProduct(below.hi, scale);
    return {product.hi,
            FusedMulAdd(below.lo, scale,
                        FusedMulAdd(below.hi, hn::Set(d, logit_scale_.lo),
                                    product.lo))};
  }

  const HessianRow& row_;
  const Pair logit_scale_;
  const CappedVector capped_;
  double* const exps_;
  double* const exps_low_;
  const int64_t largest_class_;
  double vector_size_ = 1.0;
};

// Impossible classes' v are set to 0: they do not count, however large.
inline HWY_NOINLINE void SoftmaxRow::ScaleVector() {
  double largest = 0.0;
  for (int64_t i = 0; i < row_.classes; ++i) {
    if (std::isinf(row_.logits[i])) row_.vector[i] = 0.0;
    largest = std::max(largest, std::abs(row_.vector[i]));
  }
  if (largest > 0x1p300) vector_size_ = 0x1p800;
  if (largest < 0x1p-300) vector_size_ = 0x1p-600;
  if (vector_size_ == 1.0) return;
  for (int64_t i = 0; i < row_.classes; ++i) row_.vector[i] /= vector_size_;
}

inline HWY_NOINLINE void SoftmaxRow::CapVector() {
  const Doubles d;
  const VecPair scale = Broadcast(Scaled(logit_scale_, kUnscaleSlope));
  for (int64_t i = 0; i < row_.classes; i += kLanes) {
    const VecPair slope = {hn::LoadU(d, capped_.logits->slopes + i),
                           hn::LoadU(d, capped_.logits->slopes_low + i)};
    const VecPair v = {hn::LoadU(d, row_.vector + i), hn::Zero(d)};
    const VecPair product = Mul(Mul(slope, scale), v);
    hn::StoreU(product.hi, d, capped_.vector + i);
    hn::StoreU(product.lo, d, capped_.vector_low + i);
  }
}

inline HWY_NOINLINE SoftmaxSums SoftmaxRow::Sum(int64_t apart) {
  const Doubles d;
  VecPair sums[kVectors], vector_sums[kVectors];
  for (auto& sum : sums) sum = PairOf(0.0);
  for (auto& sum : vector_sums) sum = PairOf(0.0);
  const auto add = [](VecPair term, VecPair& sum) HWY_ATTR {
    const VecPair high = TwoSum(sum.hi, term.hi);
    sum = FastTwoSum(high.hi, hn::Add(high.lo, hn::Add(sum.lo, term.lo)));
  };
  for (int64_t i = 0; i < row_.classes; i += kChunk) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      const VecPair e =
          ZeroUnless(IsBelow(row_.classes - i, v), ExactExp(Below(at)));
      hn::StoreU(e.hi, d, exps_ + at);
      hn::StoreU(e.lo, d, exps_low_ + at);
      const VecPair other = ZeroUnless(IsNot(apart, i, v), e);
      add(other, sums[v]);
      add(Mul(other, Shifted(at)), vector_sums[v]);
    }
  }
  SoftmaxSums result;
  result.others = SumOfLanes(sums);
  result.others_vector = SumOfLanes(vector_sums);
  result.apart = {exps_[apart], exps_low_[apart]};
  result.apart_vector = VectorAt(apart) - largest_vector();
  return result;
}

inline HWY_NOINLINE void SoftmaxRow::Write(Pair factor, Pair total, Pair slope,
                                           Pair offset) {
  const Doubles d;
  const Pair per_exp = factor / total;
  // 2^-512 goes where it makes nothing subnormal that counts.
  const bool is_small = std::abs(per_exp.hi) < 0x1p-400;
  const VecPair factors =
      Broadcast(is_small ? per_exp : Scaled(per_exp, 0x1p-512));
  const double exp_scale = is_small ? 0x1p-512 : 1.0;
  const VecPair slopes = Broadcast(slope), offsets = Broadcast(offset);
  for (int64_t i = 0; i < row_.classes; i += kLanes) {
    const VecPair share = Mul(ScaledExp(i, exp_scale), factors);
    const VecPair inner = Add(Mul(slopes, Shifted(i)), offsets);
    const VecPair g = Scaled(Mul(share, inner), vector_size_);
    // + 0: no product is -0 where its parts are 0.
    hn::StoreU(hn::Add(Rounded(g), hn::Zero(d)), d, row_.product + i);
  }
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
