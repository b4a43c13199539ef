#include "client/lossctl/numbers.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/lossctl/npy.h"

namespace lossd::lossctl {

absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& flag,
                                                const std::string& text) {
  if (text.ends_with(".npy")) {
    const auto array = ReadNpy(text);
    if (!array.ok()) return array.status();
    return std::visit(
        [](const auto& values) {
          return std::vector<double>(values.begin(), values.end());
        },
        array->values);
  }
  std::vector<double> numbers;
  for (const std::string& piece :
       std::vector<std::string>(absl::StrSplit(text, ','))) {
    double number = 0.0;
    if (!absl::SimpleAtod(piece, &number)) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": element ", numbers.size(), " is \"", piece,
                       "\", want a number; a file's name ends in .npy"));
    }
    numbers.push_back(number);
  }
  return numbers;
}

absl::Status CheckCount(const std::string& flag, size_t count, int64_t want,
                        const std::string& things) {
  if (count == static_cast<size_t>(want)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      flag, " has ", count, " numbers, want ", want, ", one per ", things));
}

}  // namespace lossd::lossctl
