#ifndef LOSSD_TESTS_HOUSE_LAYERS_H_
#define LOSSD_TESTS_HOUSE_LAYERS_H_

#include <string>
#include <string_view>
#include <vector>

namespace lossd::house {

// One `#include` line: the path between its quotes or brackets.
struct Include {
  int line = 0;
  std::string path;
  bool quoted = false;
};

// The include directives of a C++ source, read as text: comments are skipped,
// spliced lines are joined, both branches of every #if count. A directive
// whose operand is a macro has the macro's name as its path, not quoted.
std::vector<Include> ParseIncludes(std::string_view source);

// The includes of `source` that go against an arrow of the house, one sentence
// each; empty when all is well. `path` is the file's, from the repo's root.
//
//   server/ (main, flags) -> server/rpc -> server/compute
//   server/rpc -> proto;  lossctl, examples -> client/lossd -> proto
//   tests -> anything;    nothing -> tests
//   compute -> std, a few parts of Abseil, Highway;  Highway nowhere else
//
// Fails closed: a file in no known room, a macro as operand and a quoted path
// that does not start at the repo's root are refused, too.
std::vector<std::string> CheckArrows(std::string_view path,
                                     std::string_view source);

}  // namespace lossd::house

#endif  // LOSSD_TESTS_HOUSE_LAYERS_H_
