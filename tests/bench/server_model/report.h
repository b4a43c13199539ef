// How results are printed.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_REPORT_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_REPORT_H_

#include <vector>

#include "tests/bench/server_model/measure.h"

namespace lossd::bench {

// Prints Markdown tables to stdout.
void PrintTables(const std::vector<Result>& results);

// Prints an array with one object per model to stdout.
void PrintJson(const std::vector<Result>& results);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_REPORT_H_
