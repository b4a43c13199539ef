// How long a fault is kept up, and what memory it may take.
#ifndef LOSSD_TESTS_E2E_FAULT_DURATION_H_
#define LOSSD_TESTS_E2E_FAULT_DURATION_H_

#include <cstdint>

#include "absl/time/time.h"

namespace lossd {

// LOSSD_FAULT_SECONDS in the environment; 1 s where it is not set.
absl::Duration FaultDuration();

// Resident memory beyond the budget, the program itself included. A sanitizer's
// own counts, too.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int64_t kMaxBeyondBudget = int64_t{1} << 30;
#else
inline constexpr int64_t kMaxBeyondBudget = int64_t{64} << 20;
#endif

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_FAULT_DURATION_H_
