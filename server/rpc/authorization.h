// Who may call what: gRPC's authorization policies (its proposal A43), which
// Debian's gRPC enforces but cannot read.
#ifndef LOSSD_SERVER_RPC_AUTHORIZATION_H_
#define LOSSD_SERVER_RPC_AUTHORIZATION_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd::rpc {

// What a policy is asked about.
struct CallFacts {
  std::string_view path;  // as in "/lossd.v1.LossService/ComputeLoss"
  // Whom the caller's certificate names: its URIs, its DNS names, its subject.
  // Empty without a certificate.
  std::vector<std::string> principals;
  // By name, in lower case; values of one name are joined by commas.
  std::map<std::string, std::string, std::less<>> headers;
};

// A text to match: "*" any that is not empty, "x*" a prefix, "*x" a suffix, any
// other itself.
class TextPattern {
 public:
  explicit TextPattern(std::string pattern) : pattern_(std::move(pattern)) {}
  bool Matches(std::string_view text) const;

 private:
  std::string pattern_;
};

// Rules that deny go first; then a call is let through if a rule allows it.
//
// Threads: all members may be called from any thread.
class AuthorizationPolicy {
 public:
  // Reads a policy in JSON.
  // Errors: InvalidArgument: no JSON; a field that is missing, unknown, twice
  //   there or of another type than A43 has: nothing is left out unsaid.
  static absl::StatusOr<AuthorizationPolicy> Parse(std::string_view json);

  bool Allows(const CallFacts& call) const;

 private:
  using Patterns = std::vector<TextPattern>;

  // Matches what each list that is not empty has a match for.
  struct Rule {
    Patterns principals;
    Patterns paths;
    std::vector<std::pair<std::string, Patterns>> headers;  // all of them

    bool Matches(const CallFacts& call) const;
  };
  friend class PolicyParser;

  std::vector<Rule> deny_;
  std::vector<Rule> allow_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_AUTHORIZATION_H_
