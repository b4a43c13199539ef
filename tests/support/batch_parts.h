// Batches computed in parts, to compare with the whole.
#ifndef LOSSD_TESTS_SUPPORT_BATCH_PARTS_H_
#define LOSSD_TESTS_SUPPORT_BATCH_PARTS_H_

#include <cstdint>

#include "tests/support/loss_runner.h"

namespace lossd::testing {

// Rows [first, last) of a batch, and the settings for these.
template <typename T>
TestBatch<T> RowsOf(const TestBatch<T>& batch, int64_t first, int64_t last);
RunSettings SettingsOfRows(const RunSettings& settings, int64_t classes,
                           int64_t first, int64_t last);

// Runs ComputeLoss once for every `part_rows` rows, the last ones first so that
// no part follows the rows that it follows in the batch, and joins the outputs.
// The summary's counts are added up; so is the loss, exactly, from the parts'
// own, and rounded once.
// REQUIRES: the reduction is the sum, or the mean with a divisor: else the
// parts are not comparable.
template <typename T>
LossRun<T> RunInParts(const TestBatch<T>& batch, const RunSettings& settings,
                      int64_t part_rows);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_BATCH_PARTS_H_
