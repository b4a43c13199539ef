// Random combinations of the core's options.
#ifndef LOSSD_TESTS_SUPPORT_DRAW_OPTIONS_H_
#define LOSSD_TESTS_SUPPORT_DRAW_OPTIONS_H_

#include <cstdint>

#include "tests/support/loss_runner.h"

namespace lossd::testing {

// Settings for a batch of `rows` by `classes`: each option is at its default in
// a part of the draws and elsewhere at a usual value, an end of its range or a
// random one; targets are labels or probabilities, half of the time each. The
// same seed gives the same settings. An ignore_index may lie inside or outside
// of [0, classes). All outputs are asked for.
RunSettings DrawOptions(uint64_t seed, int64_t rows, int64_t classes);

// The same with a logit_softcap, from one end of its range to the other, and
// at times with a logit_scale at an end of its own.
RunSettings DrawCappedOptions(uint64_t seed, int64_t rows, int64_t classes);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_DRAW_OPTIONS_H_
