#include "tests/house/layers.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lossd::house {
namespace {

using Names = std::span<const std::string_view>;

// A room of the house: the files under `prefix` that no longer prefix claims.
struct Room {
  std::string_view prefix;
  Names may_include;  // rooms, by prefix
  // When not empty: the only libraries allowed, by prefix.
  Names only_libraries;
};

constexpr std::string_view kTests = "tests/";
constexpr std::string_view kProto = "proto/";
constexpr std::string_view kMain[] = {"server/", "server/http/", "server/rpc/"};
constexpr std::string_view kHttp[] = {"server/http/", "server/rpc/", kProto};
constexpr std::string_view kRpc[] = {"server/rpc/", "server/compute/", kProto};
constexpr std::string_view kCompute[] = {"server/compute/"};
constexpr std::string_view kClient[] = {"client/lossd/", kProto};
constexpr std::string_view kFlags[] = {"client/lossd/", "client/flags/"};
constexpr std::string_view kLossctl[] = {"client/lossd/", "client/flags/",
                                         "client/lossctl/"};
constexpr std::string_view kExamples[] = {"client/lossd/", "client/flags/",
                                          "client/examples/"};
constexpr std::string_view kComputeLibraries[] = {
    "absl/base/",    "absl/functional/", "absl/numeric/", "absl/status/",
    "absl/strings/", "absl/types/",      "hwy/"};

// Longest prefix first, as they are searched.
constexpr Room kRooms[] = {
    {"server/compute/", kCompute, kComputeLibraries},
    {"server/http/", kHttp, {}},
    {"server/rpc/", kRpc, {}},
    {"server/", kMain, {}},
    {"client/lossd/", kClient, {}},
    {"client/flags/", kFlags, {}},
    {"client/lossctl/", kLossctl, {}},
    {"client/examples/", kExamples, {}},
    {kTests, {}, {}},
};

// Where the generated headers of proto/ appear on the include path.
constexpr std::string_view kGenerated[] = {"proto/", "lossd/v1/", "google/rpc/",
                                           "grpc/health/"};
// The client library's own headers appear as an installed package has them.
constexpr std::string_view kInstalled = "lossd/";
constexpr std::string_view kInstalledRoom = "client/lossd/";
constexpr std::string_view kOwn[] = {"server/", "client/", "tests/",
                                     kInstalled};

bool StartsWithAny(std::string_view path, Names prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view p) { return path.starts_with(p); });
}

const Room* RoomOf(std::string_view path) {
  const auto* room =
      std::find_if(std::begin(kRooms), std::end(kRooms),
                   [&](const Room& r) { return path.starts_with(r.prefix); });
  return room == std::end(kRooms) ? nullptr : room;
}

// Replaces comments by blanks, keeps line ends, joins spliced lines. String and
// character literals are copied, so that "//" in one starts no comment.
std::string WithoutComments(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  char literal = '\0';
  for (std::size_t i = 0; i < source.size(); ++i) {
    const std::string_view rest = source.substr(i);
    if (rest.starts_with("\\\n")) {
      ++i;
    } else if (literal == '\0' && rest.starts_with("//")) {
      i = std::min(source.find('\n', i), source.size()) - 1;
    } else if (literal == '\0' && rest.starts_with("/*")) {
      const std::size_t end = source.find("*/", i + 2);
      const std::size_t stop =
          end == std::string_view::npos ? source.size() : end + 2;
      out.append(1, ' ');
      for (; i < stop; ++i) {
        if (source[i] == '\n') out.push_back('\n');
      }
      --i;
    } else if (literal != '\0' && rest[0] == '\\' && rest.size() > 1) {
      out.append(rest.substr(0, 2));
      ++i;
    } else {
      const char c = rest[0];
      // A literal never crosses a line; 1'000 opens one that the line closes.
      if (c == '\n' || c == literal) {
        literal = '\0';
      } else if (literal == '\0' && (c == '"' || c == '\'')) {
        literal = c;
      }
      out.push_back(c);
    }
  }
  return out;
}

void SkipBlanks(std::string_view& text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) {
    text.remove_prefix(1);
  }
}

std::optional<Include> ParseLine(std::string_view line) {
  SkipBlanks(line);
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  SkipBlanks(line);
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(std::string_view("include").size());
  if (line.starts_with("_next")) line.remove_prefix(5);
  SkipBlanks(line);
  Include include;
  if (line.starts_with('"') || line.starts_with('<')) {
    include.quoted = line[0] == '"';
    line.remove_prefix(1);
    line = line.substr(0, line.find(include.quoted ? '"' : '>'));
  } else {
    while (!line.empty() && std::isspace(line.back()) != 0) {
      line.remove_suffix(1);
    }
  }
  include.path = std::string(line);
  return include;
}

bool IsMacro(const Include& include) {
  return !include.quoted && !include.path.empty() &&
         std::all_of(include.path.begin(), include.path.end(), [](char c) {
           return std::isupper(static_cast<unsigned char>(c)) != 0 ||
                  std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '_';
         });
}

// The reason why `room` may not have `include`; empty when it may.
std::string Objection(const Room& room, const Include& include) {
  const std::string& path = include.path;
  if (IsMacro(include)) return "names a macro, want a path";
  if (path.find("..") != std::string::npos ||
      (include.quoted && path.find('/') == std::string::npos)) {
    return "does not start at the repo's root";
  }
  if (room.prefix == kTests) return "";
  const bool generated = StartsWithAny(path, kGenerated);
  if (generated || StartsWithAny(path, kOwn)) {
    std::string_view target;
    if (generated) {
      target = kProto;
    } else if (path.starts_with(kInstalled)) {
      target = kInstalledRoom;
    } else if (const Room* other = RoomOf(path); other != nullptr) {
      target = other->prefix;
    }
    const bool allowed =
        std::find(room.may_include.begin(), room.may_include.end(), target) !=
        room.may_include.end();
    return allowed ? "" : "goes against the arrows";
  }
  if (!room.only_libraries.empty()) {
    const bool standard = !include.quoted && path.find('/') == path.npos &&
                          path.find('.') == path.npos;
    return standard || StartsWithAny(path, room.only_libraries)
               ? ""
               : "is no library of this room";
  }
  return path.starts_with("hwy/") ? "brings Highway outside server/compute"
                                  : "";
}

}  // namespace

std::vector<Include> ParseIncludes(std::string_view source) {
  std::vector<Include> includes;
  const std::string text = WithoutComments(source);
  std::string_view rest = text;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (std::optional<Include> include = ParseLine(rest.substr(0, end))) {
      include->line = line;
      includes.push_back(*std::move(include));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return includes;
}

std::vector<std::string> CheckArrows(std::string_view path,
                                     std::string_view source) {
  std::vector<std::string> objections;
  const Room* room = RoomOf(path);
  if (room == nullptr) {
    objections.push_back(std::string(path) + " is in no room of the house");
    return objections;
  }
  for (const Include& include : ParseIncludes(source)) {
    const std::string objection = Objection(*room, include);
    if (objection.empty()) continue;
    objections.push_back(std::string(path) + ":" +
                         std::to_string(include.line) + ": `" + include.path +
                         "` " + objection);
  }
  return objections;
}

}  // namespace lossd::house
