#include "server/compute/exact/big_float.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

namespace lossd::compute {
namespace {

__extension__ typedef unsigned __int128 Wide;
using Limbs = std::vector<uint64_t>;

}  // namespace

BigFloat::BigFloat(double value) {
  assert(std::isfinite(value));
  const auto word = std::bit_cast<uint64_t>(value);
  const uint64_t field = word >> 52 & 0x7ff;
  const uint64_t fraction = word & ((uint64_t{1} << 52) - 1);
  const uint64_t units = field == 0 ? fraction : fraction | uint64_t{1} << 52;
  const int64_t exponent = std::max<int64_t>(field, 1) - 1075;
  const Wide shifted = Wide{units} << (exponent & 63);
  *this = FromLimbs(
      std::signbit(value) ? -1 : 1,
      {static_cast<uint64_t>(shifted), static_cast<uint64_t>(shifted >> 64)},
      exponent >> 6);
}

BigFloat BigFloat::PowerOfTwo(int64_t exponent) {
  return FromLimbs(1, {uint64_t{1} << (exponent & 63)}, exponent >> 6);
}

BigFloat BigFloat::FromLimbs(int sign, std::vector<uint64_t> limbs,
                             int64_t limb_exponent) {
  BigFloat result;
  result.sign_ = sign;
  result.limb_exponent_ = limb_exponent;
  result.limbs_ = std::move(limbs);
  result.Normalize();
  assert(result.sign_ == 0 || sign * sign == 1);
  return result;
}

void BigFloat::Normalize() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
  const auto first = std::find_if(limbs_.begin(), limbs_.end(),
                                  [](uint64_t limb) { return limb != 0; });
  limb_exponent_ += first - limbs_.begin();
  limbs_.erase(limbs_.begin(), first);
  if (limbs_.empty()) {
    sign_ = 0;
    limb_exponent_ = 0;
  }
}

int64_t BigFloat::LimbEnd() const {
  return limb_exponent_ + static_cast<int64_t>(limbs_.size());
}

int64_t BigFloat::exponent() const {
  assert(sign_ != 0);
  return 64 * LimbEnd() - 1 - std::countl_zero(limbs_.back());
}

uint64_t BigFloat::LimbAt(int64_t position) const {
  return position < limb_exponent_ || position >= LimbEnd()
             ? 0
             : limbs_[position - limb_exponent_];
}

BigFloat BigFloat::Truncated(int64_t bits) const {
  assert(bits >= 1);
  if (sign_ == 0) return *this;
  const int64_t dropped = exponent() - 64 * limb_exponent_ + 1 - bits;
  if (dropped <= 0) return *this;
  Limbs kept(limbs_.begin() + dropped / 64, limbs_.end());
  kept.front() &= ~uint64_t{0} << dropped % 64;
  return FromLimbs(sign_, std::move(kept), limb_exponent_ + dropped / 64);
}

double BigFloat::ToDouble() const {
  if (sign_ == 0) return 0.0;
  const double sign = sign_;
  const int64_t power = exponent();
  if (power > 1023) return sign * std::numeric_limits<double>::infinity();
  if (power < -1075) return sign * 0.0;
  // Bits of the result, 0 for what is under the least positive double; then one
  // that decides, then whether any follows.
  const int64_t bits = std::min<int64_t>(53, power + 1075);
  const BigFloat top = Truncated(bits + 1);
  const int64_t end = top.LimbEnd();
  const int skip = std::countl_zero(top.limbs_.back());
  const Wide two = (Wide{top.LimbAt(end - 1)} << 64 | top.LimbAt(end - 2))
                   << skip;
  auto units = static_cast<uint64_t>(two >> (127 - bits));
  const bool more = top != *this;
  units = units / 2 + ((units & 1) != 0 && (more || (units & 2) != 0) ? 1 : 0);
  // A normal number's leading bit counts one into the exponent's field, and so
  // does a carry.
  const auto field = static_cast<uint64_t>(std::max<int64_t>(0, power + 1022));
  return sign * std::bit_cast<double>((field << 52) + units);
}

BigFloat BigFloat::operator-() const {
  BigFloat result = *this;
  result.sign_ = -sign_;
  return result;
}

BigFloat Abs(const BigFloat& x) { return x.sign_ < 0 ? -x : x; }

BigFloat BigFloat::Sum(const BigFloat& a, const BigFloat& b, int b_sign) {
  const bool subtract = a.sign_ != b_sign;
  const bool swap = subtract && std::is_lt(CompareMagnitudes(a, b));
  const BigFloat& larger = swap ? b : a;
  const BigFloat& smaller = swap ? a : b;
  const int64_t low = std::min(a.limb_exponent_, b.limb_exponent_);
  Limbs sum(std::max(a.LimbEnd(), b.LimbEnd()) + 1 - low);
  std::copy(larger.limbs_.begin(), larger.limbs_.end(),
            sum.begin() + (larger.limb_exponent_ - low));
  uint64_t* const into = sum.data() + (smaller.limb_exponent_ - low);
  uint64_t carry = 0;
  for (size_t i = 0; i < smaller.limbs_.size() || carry != 0; ++i) {
    const Wide term =
        Wide{carry} + (i < smaller.limbs_.size() ? smaller.limbs_[i] : 0);
    const Wide next = subtract ? into[i] - term : into[i] + term;
    into[i] = static_cast<uint64_t>(next);
    carry = static_cast<uint64_t>(next >> 64) & 1;
  }
  return FromLimbs(swap ? b_sign : a.sign_, std::move(sum), low);
}

BigFloat operator+(const BigFloat& a, const BigFloat& b) {
  if (a.sign_ == 0) return b;
  return b.sign_ == 0 ? a : BigFloat::Sum(a, b, b.sign_);
}

BigFloat operator-(const BigFloat& a, const BigFloat& b) {
  if (a.sign_ == 0) return -b;
  return b.sign_ == 0 ? a : BigFloat::Sum(a, b, -b.sign_);
}

BigFloat operator*(const BigFloat& a, const BigFloat& b) {
  Limbs product(a.limbs_.size() + b.limbs_.size());
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.limbs_.size(); ++j) {
      const Wide next =
          Wide{a.limbs_[i]} * b.limbs_[j] + product[i + j] + carry;
      product[i + j] = static_cast<uint64_t>(next);
      carry = static_cast<uint64_t>(next >> 64);
    }
    product[i + b.limbs_.size()] = carry;
  }
  return BigFloat::FromLimbs(a.sign_ * b.sign_, std::move(product),
                             a.limb_exponent_ + b.limb_exponent_);
}

std::strong_ordering BigFloat::CompareMagnitudes(const BigFloat& a,
                                                 const BigFloat& b) {
  if (a.LimbEnd() != b.LimbEnd()) return a.LimbEnd() <=> b.LimbEnd();
  // The longer one's last limb is not 0: all there is to say.
  return std::lexicographical_compare_three_way(
      a.limbs_.rbegin(), a.limbs_.rend(), b.limbs_.rbegin(), b.limbs_.rend());
}

std::strong_ordering operator<=>(const BigFloat& a, const BigFloat& b) {
  if (a.sign_ != b.sign_) return a.sign_ <=> b.sign_;
  if (a.sign_ == 0) return std::strong_ordering::equal;
  return a.sign_ > 0 ? BigFloat::CompareMagnitudes(a, b)
                     : BigFloat::CompareMagnitudes(b, a);
}

BigFloat Quotient(const BigFloat& a, const BigFloat& b, int64_t bits) {
  assert(b.sign() != 0 && bits >= 1);
  const BigFloat scale = BigFloat::PowerOfTwo(-b.exponent());
  const BigFloat divisor = b.Truncated(bits + 6) * scale;
  BigFloat inverse(1.0 / divisor.ToDouble());
  // |inverse * divisor - 1| < 2^-valid. A step makes it the square, to which
  // the cut divisor and result add 2^(1 - next) each and the cut rest less than
  // half of that: under 2^(3 - next) in all.
  for (int64_t valid = 51; valid < bits + 2;) {
    const int64_t next = std::min(2 * valid, bits + 6);
    const BigFloat rest = BigFloat(1.0) - divisor.Truncated(next) * inverse;
    inverse = (inverse + inverse * rest.Truncated(valid + 2)).Truncated(next);
    valid = next - 3;
  }
  // 2^-(bits + 2) from the inverse, 2^-(bits + 5) each from three cuts.
  return (a.Truncated(bits + 6) * inverse * scale).Truncated(bits + 6);
}

}  // namespace lossd::compute
