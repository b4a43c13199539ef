#include "client/examples/bigram/sample.h"

#include <cmath>
#include <cstddef>
#include <random>

#include "client/examples/bigram/names.h"

namespace lossd::bigram {
namespace {

// A model that has learned little may go on for long.
constexpr size_t kMaxLength = 50;

// The standard's distributions differ from library to library; its engines do
// not.
double DrawUniform(std::mt19937_64& random) {
  return std::ldexp(static_cast<double>(random() >> 11), -53);
}

int64_t DrawClass(absl::Span<const double> probabilities,
                  std::mt19937_64& random) {
  double left = DrawUniform(random);
  int64_t drawn = 0;
  for (int64_t c = 0; c < kClasses; ++c) {
    if (probabilities[c] <= 0.0) continue;
    drawn = c;
    left -= probabilities[c];
    if (left < 0.0) break;
  }
  return drawn;
}

}  // namespace

std::vector<std::string> SampleNames(absl::Span<const double> probabilities,
                                     int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> names(count);
  for (std::string& name : names) {
    int64_t previous = 0;
    do {
      previous = DrawClass(probabilities.subspan(previous * kClasses, kClasses),
                           random);
      if (previous > 0) name.push_back(static_cast<char>('a' + previous - 1));
    } while (previous > 0 && name.size() < kMaxLength);
  }
  return names;
}

}  // namespace lossd::bigram
