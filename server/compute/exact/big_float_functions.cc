// Exp and Log1p, computed in fixed point: a fraction is n limbs, the lowest
// first, that count units of 2^(-64 n). Every operation on fractions cuts, so
// that none is above the true one and none overflows.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <numbers>
#include <utility>
#include <vector>

#include "server/compute/exact/big_float.h"

namespace lossd::compute {
namespace {

__extension__ typedef unsigned __int128 Wide;
using Limbs = std::vector<uint64_t>;

// sum += a. REQUIRES: the sum is under 1.
void Add(const uint64_t* a, size_t n, uint64_t* sum) {
  uint64_t carry = 0;
  for (size_t i = 0; i < n; ++i) {
    const Wide next = Wide{sum[i]} + a[i] + carry;
    sum[i] = static_cast<uint64_t>(next);
    carry = static_cast<uint64_t>(next >> 64);
  }
}

// a b, less under n + 1 units: the columns below the one just under the unit
// are left out. REQUIRES: product overlaps neither a nor b.
void Multiply(const uint64_t* a, const uint64_t* b, size_t n,
              uint64_t* product) {
  uint64_t under = 0;
  for (size_t i = 0; i < n; ++i) {
    Wide next = Wide{a[i]} * b[n - 1 - i] + under;
    under = static_cast<uint64_t>(next);
    for (size_t j = 0; j < i; ++j) {
      next = Wide{a[i]} * b[n - i + j] + product[j] + (next >> 64);
      product[j] = static_cast<uint64_t>(next);
    }
    product[i] = static_cast<uint64_t>(next >> 64);
  }
}

// (whole + a) / divisor. REQUIRES: whole < divisor.
void Divide(uint64_t whole, uint64_t divisor, Limbs& a) {
  for (size_t i = a.size(); i-- > 0;) {
    const Wide rest = (Wide{whole} << 64) + a[i];
    a[i] = static_cast<uint64_t>(rest / divisor);
    whole = static_cast<uint64_t>(rest % divisor);
  }
}

// REQUIRES: 0 <= x < 1.
Limbs Fraction(const BigFloat& x, size_t n) {
  Limbs fraction(n);
  for (size_t i = 0; i < n; ++i) {
    fraction[i] = x.LimbAt(static_cast<int64_t>(i) - static_cast<int64_t>(n));
  }
  return fraction;
}

BigFloat OnePlus(Limbs fraction) {
  const auto n = static_cast<int64_t>(fraction.size());
  fraction.push_back(1);
  return BigFloat::FromLimbs(1, std::move(fraction), -n);
}

// How often Exp halves its argument. One more costs a squaring and a bit, and
// saves about a Taylor term: as many of each.
int64_t Halvings(size_t limbs) {
  const double root = std::sqrt(64.0 * static_cast<double>(limbs));
  return std::min<int64_t>(static_cast<int64_t>(root) - 4, 60);
}

// The n for a relative error of Exp under 2^-bits. With k = Halvings(n),
// e^(r / 2^k) - 1 is known to 1.2 (n + 3) units: n + 1 from the last product, 1
// from the cut r, 1 from the series' end, little from what small r multiplies.
// A squaring doubles the error, times e^r in all, and adds n + 1: at most
// 2^k 2 (1.2 (n + 3) + n + 1). With 3 units from r that is under 2^(k + 3)
// (n + 3): k + 16 bits do up to n = 8189.
size_t LimbsFor(int64_t bits) {
  size_t limbs = bits / 64 + 1;
  while (64 * static_cast<int64_t>(limbs) < bits + Halvings(limbs) + 16) {
    ++limbs;
  }
  assert(limbs <= 8189);
  return limbs;
}

struct Tables {
  explicit Tables(size_t n);

  size_t limbs;
  BigFloat ln2;  // n + 1 limbs, wrong by 2 of their units
  std::vector<Limbs> inverse_factorials;  // 1 / 2!, 1 / 3!, ... while needed
  std::vector<Limbs> odd_inverses;        // 1 / 3, 1 / 5, ... 2 n of them
};

Tables::Tables(size_t n) : limbs(n) {
  // 2 atanh(1 / 3). The errors, two units a term, stay in the limb that goes.
  Limbs power(n + 2), sum(n + 2);
  Divide(2, 3, power);
  for (uint64_t odd = 1; power != Limbs(n + 2); odd += 2) {
    Limbs term = power;
    Divide(0, odd, term);
    Add(term.data(), n + 2, sum.data());
    Divide(0, 9, power);
  }
  sum.erase(sum.begin());
  ln2 = BigFloat::FromLimbs(1, std::move(sum), -static_cast<int64_t>(n) - 1);

  // Up to where r^i / i! is under 2^-below, the unit.
  const auto halvings = static_cast<double>(Halvings(n));
  Limbs inverse(n);
  double below = 2 * halvings + 1;
  for (uint64_t i = 2; below < 64.0 * static_cast<double>(n); ++i) {
    Divide(i == 2 ? 1 : 0, i, inverse);
    inverse_factorials.push_back(inverse);
    below += halvings + std::log2(i + 1);
  }
  for (uint64_t i = 0; i < 2 * n; ++i) {
    odd_inverses.emplace_back(n);
    Divide(1, 2 * i + 3, odd_inverses.back());
  }
}

const Tables& TablesFor(size_t limbs) {
  thread_local const Tables* last = nullptr;  // mostly the right one: no lock
  if (last != nullptr && last->limbs == limbs) return *last;
  static std::mutex mutex;
  static auto& all = *new std::map<size_t, std::unique_ptr<const Tables>>;
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<const Tables>& found = all[limbs];
  if (found == nullptr) found = std::make_unique<const Tables>(limbs);
  last = found.get();
  return *last;
}

// t times the sum of coefficients[i] t^i over i < terms, by Horner. What t^i
// will multiply is cut bits * i bits higher: n + 3 units at most each, of which
// 0.7^i count. REQUIRES: t < 0.7 2^-bits and a result under 1.
Limbs Series(const std::vector<Limbs>& coefficients, size_t terms,
             const Limbs& t, int64_t bits) {
  const size_t n = t.size();
  Limbs sum(n), product(n);
  for (size_t i = terms; i-- > 0;) {
    const size_t cut = std::min(n - 1, i * static_cast<size_t>(bits) / 64);
    Add(&coefficients[i][cut], n - cut, &sum[cut]);
    Multiply(&sum[cut], &t[cut], n - cut, &product[cut]);
    std::swap(sum, product);
  }
  return sum;
}

// e^r - 1 for the fraction r < ln 2.
Limbs ExpMinusOne(Limbs r, const Tables& tables) {
  const size_t n = r.size();
  const int64_t halvings = Halvings(n);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t above = i + 1 < n ? r[i + 1] : 0;
    r[i] = r[i] >> halvings | above << (64 - halvings);
  }
  const Limbs series = Series(tables.inverse_factorials,
                              tables.inverse_factorials.size(), r, halvings);
  Limbs result(n), square(n);
  Multiply(series.data(), r.data(), n, result.data());
  Add(r.data(), n, result.data());
  for (int64_t i = 0; i < halvings; ++i) {
    Multiply(result.data(), result.data(), n, square.data());
    Add(result.data(), n, result.data());
    Add(square.data(), n, result.data());
  }
  return result;
}

// 2 atanh(z) = 2 z (1 + z^2 / 3 + z^4 / 5 + ...), relative error under 2^-bits.
// REQUIRES: |z| < 2^-16.
BigFloat TwiceAtanh(const BigFloat& z, int64_t bits) {
  if (z.sign() == 0) return z;
  assert(z.exponent() < -16);
  const Tables& tables = TablesFor(LimbsFor(bits));
  const BigFloat square = z * z;
  const int64_t zeros = -1 - square.exponent();  // z^2 < 2^-zeros
  const size_t terms = 64 * tables.limbs / static_cast<size_t>(zeros);
  Limbs series = Series(tables.odd_inverses, terms,
                        Fraction(square, tables.limbs), zeros - 1);
  return BigFloat(2.0) * z * OnePlus(std::move(series));
}

}  // namespace

BigFloat Exp(const BigFloat& x, int64_t bits) {
  assert(bits >= 1);
  if (x.sign() == 0 || x.exponent() < -(bits + 1)) return BigFloat(1.0);
  assert(x.exponent() < 40);
  const Tables& tables = TablesFor(LimbsFor(bits + 1));
  const auto n = static_cast<int64_t>(tables.limbs);
  // x = q ln 2 + r, 0 <= r < ln 2. The cut x and q ln 2 are wrong by under a
  // unit each, and r's fraction by another one.
  double q = std::floor(x.ToDouble() * std::numbers::log2e);
  BigFloat r = x.Truncated(64 * n + std::max<int64_t>(x.exponent(), 0) + 2) -
               BigFloat(q) * tables.ln2;
  if (r.sign() < 0) {
    r = r + tables.ln2;
    q -= 1;
  } else if (r >= tables.ln2) {
    r = r - tables.ln2;
    q += 1;
  }
  const Limbs result = ExpMinusOne(Fraction(r, tables.limbs), tables);
  return (OnePlus(result) * BigFloat::PowerOfTwo(static_cast<int64_t>(q)))
      .Truncated(bits + 3);
}

BigFloat Log1p(const BigFloat& x, int64_t bits) {
  assert(x.sign() >= 0 && bits >= 1);
  if (x.sign() == 0) return x;
  if (x.exponent() < -(bits + 4)) return x.Truncated(bits + 4);  // x - x^2 / 2
  // The logarithm's relative error is no larger than its argument's.
  const BigFloat near = x.Truncated(bits + 4);
  const BigFloat one(1.0), two(2.0);
  if (near.exponent() < -16) {
    const BigFloat z = Quotient(near, two + near, bits + 4);
    return TwiceAtanh(z, bits + 4).Truncated(bits + 3);
  }
  assert(near.exponent() < 1000);
  // ln(1 + x) = guess + ln(1 + rest), where the rest's absolute error under
  // 2^-(bits + 19) is 2^-(bits + 2) of a result above 2^-17.
  const BigFloat guess(std::log1p(near.ToDouble()));
  const BigFloat rest = (one + near) * Exp(-guess, bits + 20) - one;
  const BigFloat z = Quotient(rest, two + rest, bits);
  return (guess + TwiceAtanh(z, bits)).Truncated(bits + 3);
}

}  // namespace lossd::compute
