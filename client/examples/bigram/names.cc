#include "client/examples/bigram/names.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace lossd::bigram {
namespace {

std::string ByteText(char byte) {
  const std::string hex = absl::StrCat(
      "0x", absl::Hex(static_cast<unsigned char>(byte), absl::kZeroPad2));
  const bool visible = absl::ascii_isgraph(static_cast<unsigned char>(byte));
  return visible ? absl::StrCat("'", std::string(1, byte), "' (", hex, ")")
                 : hex;
}

// The reason why `name` is none; empty when it is one.
std::string Objection(std::string_view name) {
  if (name.empty()) return "an empty line, want a name";
  for (size_t i = 0; i < name.size(); ++i) {
    if (absl::ascii_islower(static_cast<unsigned char>(name[i]))) continue;
    return absl::StrCat("byte ", i + 1, " is ", ByteText(name[i]),
                        ", want a letter from a to z");
  }
  return "";
}

void AddPairs(std::string_view name, Pairs* pairs) {
  uint8_t previous = 0;
  const auto add = [&](int64_t next) {
    pairs->previous.push_back(previous);
    pairs->next.push_back(next);
    previous = static_cast<uint8_t>(next);
  };
  for (const char letter : name) add(letter - 'a' + 1);
  add(0);
  ++pairs->names;
}

}  // namespace

absl::StatusOr<Pairs> ReadNames(const std::string& path) {
  const auto error = [&path](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(path, what));
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return error(": is a directory");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return error(absl::StrCat(": ", std::strerror(errno)));
  Pairs pairs;
  std::string line;
  while (std::getline(stream, line)) {
    const std::string objection = Objection(line);
    if (!objection.empty()) {
      return error(absl::StrCat(":", pairs.names + 1, ": ", objection));
    }
    AddPairs(line, &pairs);
  }
  if (stream.bad()) return error(": cannot be read");
  if (pairs.names == 0) return error(": holds no names");
  return pairs;
}

}  // namespace lossd::bigram
