// Prometheus's text format, read as strictly as its document has it.
#ifndef LOSSD_TESTS_E2E_EXPOSITION_H_
#define LOSSD_TESTS_E2E_EXPOSITION_H_

#include <map>
#include <set>
#include <string>

namespace lossd {

struct Exposition {
  // Family name -> counter, gauge or histogram.
  std::map<std::string, std::string> types;
  // As written: name, or name{label="value",...}.
  std::map<std::string, double> samples;
  // Of samples, without labels.
  std::set<std::string> names;

  // 0 where there is no such sample.
  double Value(const std::string& sample) const;
  // All samples of `name`, added up.
  double Sum(const std::string& name) const;
};

// Expects every line to be a HELP, a TYPE or a sample of the family of the last
// TYPE, no family and no sample to come twice, a counter to end in _total and
// to be no less than 0, and a histogram's buckets to go up to its count.
Exposition ParseExposition(const std::string& text);

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_EXPOSITION_H_
