#include "server/rpc/authorization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

namespace lossd::rpc {

using Json = nlohmann::json;

bool TextPattern::Matches(std::string_view text) const {
  const std::string_view pattern(pattern_);
  if (pattern == "*") return !text.empty();
  if (pattern.ends_with('*')) {
    return text.starts_with(pattern.substr(0, pattern.size() - 1));
  }
  if (pattern.starts_with('*')) return text.ends_with(pattern.substr(1));
  return text == pattern;
}

// Throws std::runtime_error, with a message that names the place.
class PolicyParser {
 public:
  static AuthorizationPolicy Parse(std::string_view text) {
    const Json json = ReadJson(text);
    Object policy(json, "policy", {"name", "deny_rules", "allow_rules"});
    Name(policy);
    AuthorizationPolicy result;
    if (const Json* rules = policy.Find("deny_rules")) {
      result.deny_ = Rules(*rules, "deny_rules");
    }
    const Json* rules = policy.Find("allow_rules");
    if (rules == nullptr) throw std::runtime_error("allow_rules: missing");
    result.allow_ = Rules(*rules, "allow_rules");
    return result;
  }

 private:
  using Patterns = AuthorizationPolicy::Patterns;
  using Rule = AuthorizationPolicy::Rule;

  // An object with no other fields than these.
  class Object {
   public:
    Object(const Json& json, std::string place,
           const std::set<std::string>& fields)
        : json_(json), place_(std::move(place)) {
      if (!json.is_object()) {
        throw std::runtime_error(place_ + ": want an object");
      }
      for (const auto& [key, value] : json.items()) {
        if (!fields.contains(key)) {
          throw std::runtime_error(
              fmt::format("{}: unknown field \"{}\"", place_, key));
        }
      }
    }
    // Null where the field is not there.
    const Json* Find(const std::string& field) const {
      const auto found = json_.find(field);
      return found == json_.end() ? nullptr : &*found;
    }
    const std::string& place() const { return place_; }

   private:
    const Json& json_;
    const std::string place_;
  };

  // The second of two equal keys would win without a word.
  static Json ReadJson(std::string_view text) {
    std::vector<std::set<std::string>> keys;
    const auto refuse_twins = [&keys](int, Json::parse_event_t event,
                                      Json& parsed) {
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key &&
          !keys.back().insert(parsed.get<std::string>()).second) {
        throw std::runtime_error(fmt::format("field \"{}\" is there twice",
                                             parsed.get<std::string>()));
      }
      return true;
    };
    return Json::parse(text, refuse_twins);
  }

  static std::string Text(const Json& json, const std::string& place) {
    if (!json.is_string() || json.get_ref<const std::string&>().empty()) {
      throw std::runtime_error(place + ": want a text that is not empty");
    }
    return json.get<std::string>();
  }

  static const Json& Array(const Json& json, const std::string& place) {
    if (!json.is_array() || json.empty()) {
      throw std::runtime_error(place + ": want an array that is not empty");
    }
    return json;
  }

  static std::string Name(const Object& object) {
    const Json* name = object.Find("name");
    const std::string place = object.place() + ".name";
    if (name == nullptr) throw std::runtime_error(place + ": missing");
    return Text(*name, place);
  }

  static Patterns PatternsOf(const Object& object, const std::string& field) {
    Patterns patterns;
    const Json* array = object.Find(field);
    if (array == nullptr) return patterns;
    const std::string place = object.place() + "." + field;
    for (const Json& pattern : Array(*array, place)) {
      patterns.emplace_back(Text(pattern, place));
    }
    return patterns;
  }

  static std::pair<std::string, Patterns> Header(const Json& json,
                                                 const std::string& place) {
    const Object header(json, place, {"key", "values"});
    const Json* key = header.Find("key");
    if (key == nullptr) throw std::runtime_error(place + ".key: missing");
    std::string name = Text(*key, place + ".key");
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    // Those that gRPC keeps for itself, and bytes that are no text.
    if (name.starts_with(':') || name.starts_with("grpc-") ||
        name.ends_with("-bin") || name == "host") {
      throw std::runtime_error(
          fmt::format("{}.key: \"{}\" cannot be asked for", place, name));
    }
    Patterns values = PatternsOf(header, "values");
    if (values.empty()) throw std::runtime_error(place + ".values: missing");
    return {std::move(name), std::move(values)};
  }

  static Rule RuleOf(const Json& json, const std::string& place) {
    const Object rule(json, place, {"name", "source", "request"});
    Name(rule);
    Rule result;
    if (const Json* source = rule.Find("source")) {
      result.principals = PatternsOf(
          Object(*source, place + ".source", {"principals"}), "principals");
    }
    if (const Json* json_request = rule.Find("request")) {
      const Object request(*json_request, place + ".request",
                           {"paths", "headers"});
      result.paths = PatternsOf(request, "paths");
      if (const Json* headers = request.Find("headers")) {
        const std::string headers_place = place + ".request.headers";
        for (const Json& header : Array(*headers, headers_place)) {
          result.headers.push_back(Header(header, headers_place));
        }
      }
    }
    return result;
  }

  static std::vector<Rule> Rules(const Json& json, const std::string& place) {
    std::vector<Rule> rules;
    for (const Json& rule : Array(json, place)) {
      rules.push_back(RuleOf(rule, fmt::format("{}[{}]", place, rules.size())));
    }
    return rules;
  }
};

absl::StatusOr<AuthorizationPolicy> AuthorizationPolicy::Parse(
    std::string_view json) {
  try {
    return PolicyParser::Parse(json);
  } catch (const std::exception& error) {  // the library's, too
    return absl::InvalidArgumentError(error.what());
  }
}

bool AuthorizationPolicy::Rule::Matches(const CallFacts& call) const {
  const auto any_of = [](const Patterns& patterns, std::string_view text) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const auto& p) { return p.Matches(text); });
  };
  const auto& names = call.principals;
  return (principals.empty() || std::any_of(names.begin(), names.end(),
                                            [&](const auto& name) {
                                              return any_of(principals, name);
                                            })) &&
         (paths.empty() || any_of(paths, call.path)) &&
         std::all_of(headers.begin(), headers.end(), [&](const auto& header) {
           const auto found = call.headers.find(header.first);
           return found != call.headers.end() &&
                  any_of(header.second, found->second);
         });
}

bool AuthorizationPolicy::Allows(const CallFacts& call) const {
  const auto any_of = [&call](const std::vector<Rule>& rules) {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const Rule& rule) { return rule.Matches(call); });
  };
  return !any_of(deny_) && any_of(allow_);
}

}  // namespace lossd::rpc
