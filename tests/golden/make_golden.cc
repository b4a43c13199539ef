// Writes the golden vectors, or holds a folder's files to them.
//
//   make_golden FOLDER           writes FOLDER/LOSS.json for every loss
//   make_golden --check FOLDER   exits with 1 unless these files, and no other
//                                .json, are there with the same bytes
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "tests/golden/golden_json.h"

namespace {

namespace fs = std::filesystem;

bool IsSame(const fs::path& path, const std::string& text) {
  std::ifstream file(path, std::ios::binary);
  const std::string found(std::istreambuf_iterator<char>(file), {});
  if (file && found == text) return true;
  std::fprintf(stderr, "make_golden: %s is not what would be written\n",
               path.c_str());
  return false;
}

bool Write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (file) return true;
  std::fprintf(stderr, "make_golden: cannot write %s\n", path.c_str());
  return false;
}

// Files of a loss that is no more, or of none.
bool HasOnly(const fs::path& folder, const std::set<std::string>& names) {
  bool only = true;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".json" || names.contains(path.filename())) {
      continue;
    }
    std::fprintf(stderr, "make_golden: %s would not be written\n",
                 path.c_str());
    only = false;
  }
  return only;
}

int Run(bool is_check, const fs::path& folder) {
  bool good = true;
  size_t cases = 0, bytes = 0;
  std::set<std::string> names;
  for (const auto& file : lossd::golden::GoldenFiles()) {
    const absl::StatusOr<std::string> text = lossd::golden::JsonOf(file);
    const std::string name = lossd::golden::NameOf(file.loss) + ".json";
    if (!text.ok()) {
      std::fprintf(stderr, "make_golden: %s: %s\n", name.c_str(),
                   std::string(text.status().message()).c_str());
      good = false;
      continue;
    }
    names.insert(name);
    cases += file.cases.size();
    bytes += text->size();
    const fs::path path = folder / name;
    good &= is_check ? IsSame(path, *text) : Write(path, *text);
  }
  if (is_check) good &= HasOnly(folder, names);
  std::printf("%zu cases in %zu files, %zu bytes\n", cases, names.size(),
              bytes);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_check = argc == 3 && std::string(argv[1]) == "--check";
  if (!is_check && argc != 2) {
    std::fprintf(stderr, "usage: make_golden [--check] FOLDER\n");
    return 2;
  }
  return Run(is_check, argv[argc - 1]);
}
