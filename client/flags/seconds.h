#ifndef LOSSD_CLIENT_FLAGS_SECONDS_H_
#define LOSSD_CLIENT_FLAGS_SECONDS_H_

#include "CLI/CLI.hpp"

namespace lossd {

// A flag's time in seconds: a plain number in [0.001, 1000000]. The error of
// any other text is one line with the text, the unit and the range; CLI11's own
// has a bound of 308 digits.
CLI::Validator SecondsCheck();

}  // namespace lossd

#endif  // LOSSD_CLIENT_FLAGS_SECONDS_H_
