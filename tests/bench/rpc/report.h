// How results are printed: Markdown rows, or JSON objects.
#ifndef LOSSD_TESTS_BENCH_RPC_REPORT_H_
#define LOSSD_TESTS_BENCH_RPC_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/rpc/gaps.h"
#include "tests/bench/rpc/measure.h"
#include "tests/bench/rpc/settings.h"
#include "tests/bench/rpc/stream.h"

namespace lossd::bench {

// GB/s is request and response bytes over the median; `ratio` is the echo's
// median over the service's: 1 means that the service costs nothing.
std::string PayloadTableHead();
std::string TableRow(const Result& result);
nlohmann::ordered_json ToJson(const Result& result);

// `gain` is the median by lossd's settings over the one by this setting.
std::string SettingTableHead();
std::string TableRow(const SettingResult& result);
nlohmann::ordered_json ToJson(const SettingResult& result);

// `ratio` is the stream's GB/s over the echo's.
std::string StreamTableHead();
std::string TableRow(const StreamResult& result);
nlohmann::ordered_json ToJson(const StreamResult& result);

std::string GapTableHead();
std::string TableRow(const GapResult& result);
nlohmann::ordered_json ToJson(const GapResult& result);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_REPORT_H_
