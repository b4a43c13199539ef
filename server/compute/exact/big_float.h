#ifndef LOSSD_SERVER_COMPUTE_EXACT_BIG_FLOAT_H_
#define LOSSD_SERVER_COMPUTE_EXACT_BIG_FLOAT_H_

#include <compare>
#include <cstdint>
#include <vector>

namespace lossd::compute {

// The number sign * m * 2^(64 e) with integers m and e: sums, differences and
// products are exact.
//
// Cost: a product takes the product of its factors' limbs; a sum takes time and
// memory in proportion to the distance between the highest and the lowest bit
// of its terms, so 1 + 2^-1000000 is 125 kB: truncate, or leave out, what is
// too small to matter.
// Limits: exponents of values and results within +-2^62; not checked.
// Threads: as safe as int; the functions below may be called from any.
class BigFloat {
 public:
  BigFloat() = default;             // 0
  explicit BigFloat(double value);  // exact. REQUIRES: finite

  static BigFloat PowerOfTwo(int64_t exponent);
  // sign * (limbs[0] + limbs[1] 2^64 + ...) * 2^(64 limb_exponent).
  // REQUIRES: sign is -1 or 1, or every limb is 0.
  static BigFloat FromLimbs(int sign, std::vector<uint64_t> limbs,
                            int64_t limb_exponent);

  // -1, 0 or 1.
  int sign() const { return sign_; }
  // floor(log2 |x|). REQUIRES: x != 0.
  int64_t exponent() const;
  // As FromLimbs takes them; the first and the last are not 0. Empty for 0.
  const std::vector<uint64_t>& limbs() const { return limbs_; }
  int64_t limb_exponent() const { return limb_exponent_; }
  // The limb of |x| that counts 2^(64 position)s, 0 outside of limbs().
  uint64_t LimbAt(int64_t position) const;

  // Rounded toward zero to so many significant bits: relative error under
  // 2^(1 - bits). REQUIRES: bits >= 1.
  BigFloat Truncated(int64_t bits) const;
  // Rounded once: nearest, ties to even, subnormals and infinities included. A
  // negative number too small for a double is -0.
  double ToDouble() const;

  BigFloat operator-() const;
  friend BigFloat operator+(const BigFloat& a, const BigFloat& b);
  friend BigFloat operator-(const BigFloat& a, const BigFloat& b);
  friend BigFloat operator*(const BigFloat& a, const BigFloat& b);
  friend bool operator==(const BigFloat& a, const BigFloat& b) = default;
  friend std::strong_ordering operator<=>(const BigFloat& a, const BigFloat& b);
  friend BigFloat Abs(const BigFloat& x);

 private:
  // a + b, with b's sign replaced.
  static BigFloat Sum(const BigFloat& a, const BigFloat& b, int b_sign);
  static std::strong_ordering CompareMagnitudes(const BigFloat& a,
                                                const BigFloat& b);
  int64_t LimbEnd() const;
  // Strips the outer zero limbs, so that equal numbers have equal members.
  void Normalize();

  int sign_ = 0;
  int64_t limb_exponent_ = 0;
  std::vector<uint64_t> limbs_;  // the lowest first
};

// a / b with a relative error under 2^-bits; 0 is exact.
// Source: Newton's iteration for 1 / b, from a double.
// REQUIRES: b != 0, bits >= 1.
BigFloat Quotient(const BigFloat& a, const BigFloat& b, int64_t bits);

// e^x with a relative error under 2^-bits; e^0 is exact.
// Source: R. P. Brent, P. Zimmermann, Modern Computer Arithmetic (2010), 4.3-4:
// x = q ln 2 + r, then the Taylor series at r / 2^k, squared k times.
// Cost: the first call with about so many bits, in any thread, fills a table
// that stays: 4 kB for 512 bits, 100 kB for 4000.
// REQUIRES: |x| < 2^40, 1 <= bits <= 100000.
BigFloat Exp(const BigFloat& x, int64_t bits);

// ln(1 + x) with a relative error under 2^-bits, however small x; ln(1) = 0.
// Source: 2 atanh(x / (2 + x)), for larger x what this leaves of a double's
// logarithm; tables as Exp.
// REQUIRES: 0 <= x < 2^1000, 1 <= bits <= 100000.
BigFloat Log1p(const BigFloat& x, int64_t bits);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_BIG_FLOAT_H_
