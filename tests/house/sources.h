#ifndef LOSSD_TESTS_HOUSE_SOURCES_H_
#define LOSSD_TESTS_HOUSE_SOURCES_H_

#include <string>
#include <vector>

namespace lossd::house {

struct Source {
  std::string path;  // from the repo's root
  std::string text;
};

// Every .h and .cc file under server, client and tests, by path. Throws
// std::filesystem::filesystem_error when the tree cannot be read.
std::vector<Source> ReadSources();

}  // namespace lossd::house

#endif  // LOSSD_TESTS_HOUSE_SOURCES_H_
