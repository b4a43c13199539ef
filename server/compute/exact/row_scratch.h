#ifndef LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_
#define LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace lossd::compute {

// Long rows are worked on in spans of this many elements, which any thread may
// take; their sums are added in order. Some 15 us of work, and a whole number
// of groups.
inline constexpr int64_t kSpan = 32768;

// The most doubles that the sums of a span are kept in.
inline constexpr int64_t kPartialSums = 6;

// How often a rounding was not certain and the next way was taken, for tests.
struct SlowPaths {
  int64_t careful = 0;  // results
  int64_t exact = 0;
  int64_t unlimited = 0;  // in as many bits as it takes
};

// What all threads of a pool together may keep of their scratch: rows of 2
// million logits on one thread, of 130,000 on 16.
inline constexpr size_t kKeptScratchBytes = size_t{32} << 20;

// Memory that a thread keeps from row to row and from call to call, so that no
// call allocates once its thread has seen a row as long; trimmed after each
// call.
struct RowScratch {
  std::vector<std::byte> gathered;          // a row that lay in pieces
  std::vector<std::byte> gathered_targets;  // and one of probabilities
  std::vector<double> exps;                 // one per class, and padding
  std::vector<double> exps_low;
  std::vector<double> targets;  // q, as exps
  std::vector<double> target_pairs;
  std::vector<double> target_pairs_low;
  std::vector<double> vector;  // that a Hessian is multiplied by
  std::array<std::vector<double>, 2> capped_vector;  // times the cap's slopes
  std::vector<double> wide_logits;            // of a narrower type, widened
  std::array<std::vector<double>, 4> capped;  // CappedLogits' arrays
  std::vector<double> teacher_exps;  // of a second row of logits, as exps
  std::vector<double> teacher_exps_low;
  std::vector<double> partial_sums;  // of a long row, kPartialSums per span
  bool low_logits = false;           // the last row had exponentials near 0
  SlowPaths slow_paths;

  // Room for kPartialSums of each span of a row.
  double* PartialSums(int64_t classes) {
    return Room(partial_sums, (classes + kSpan - 1) / kSpan * kPartialSums);
  }

  static double* Room(std::vector<double>& vector, int64_t size) {
    if (static_cast<int64_t>(vector.size()) < size) vector.resize(size);
    return vector.data();
  }

  size_t Bytes() const {
    size_t bytes = gathered.capacity() + gathered_targets.capacity();
    const auto add = [&](const std::vector<double>& vector) {
      bytes += vector.capacity() * sizeof(double);
    };
    for (const auto* vector :
         {&exps, &exps_low, &targets, &target_pairs, &target_pairs_low,
          &this->vector, &wide_logits, &teacher_exps, &teacher_exps_low,
          &partial_sums}) {
      add(*vector);
    }
    for (const auto& vector : capped_vector) add(vector);
    for (const auto& vector : capped) add(vector);
    return bytes;
  }

  static RowScratch& OfThisThread() {
    thread_local RowScratch scratch;
    return scratch;
  }

  // Frees this thread's, where that is more than its share among `threads`.
  // REQUIRES: no row is being computed in it.
  static void TrimOfThisThread(int threads) {
    RowScratch& scratch = OfThisThread();
    if (scratch.Bytes() <= kKeptScratchBytes / threads) return;
    RowScratch none;
    none.low_logits = scratch.low_logits;
    none.slow_paths = scratch.slow_paths;
    scratch = std::move(none);
  }
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_ROW_SCRATCH_H_
