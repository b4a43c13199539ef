#include "server/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "server/http/address.h"
#include "server/http/http_server.h"
#include "server/rpc/listen.h"

namespace lossd {
namespace {

constexpr int kBadUsage = 2;
constexpr char kTextFormat[] = "text";
constexpr char kJsonFormat[] = "json";
constexpr int64_t kLargestHttpBodyBytes = int64_t{64} << 20;
constexpr int64_t kMaxSeconds = 24 * 60 * 60;

std::string EnvironmentName(std::string name) {
  for (char& c : name) c = c == '-' ? '_' : std::toupper(c);
  return "LOSSD_" + name;
}

// The variable's value; empty where it is not set, as CLI11 has it.
std::string FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

// CLI11 lets a file's value win over the environment's: here it is dropped. And
// an unknown key gets a message of ours.
class ConfigBelowEnvironment : public CLI::ConfigTOML {
 public:
  // `app` outlives this.
  explicit ConfigBelowEnvironment(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
    for (const CLI::ConfigItem& item : items) {
      if (!item.parents.empty() ||
          app_.get_option_no_throw("--" + item.name) == nullptr) {
        const std::string& key =
            item.parents.empty() ? item.name : item.parents.front();
        throw CLI::ConfigError(
            fmt::format("config file: unknown key or section \"{}\"", key),
            CLI::ExitCodes::ConfigError);
      }
    }
    std::erase_if(items, [](const CLI::ConfigItem& item) {
      return !FromEnvironment(EnvironmentName(item.name)).empty();
    });
    return items;
  }

 private:
  const CLI::App& app_;
};

struct Values {
  rpc::Options options;
  std::string http_listen;
  int64_t http_max_body_bytes = http::Limits().body_bytes;
  std::string log_format = kTextFormat;
  int64_t receive_seconds =
      std::chrono::floor<std::chrono::seconds>(options.receive_patience)
          .count();
  int64_t drain_seconds = options.drain.count();
  int64_t lame_duck_seconds = options.lame_duck.count();
  int64_t tls_reload_seconds = options.tls.reload.count();
  int64_t authorization_reload_seconds = options.authorization_reload.count();
};

std::string CheckAddress(const std::string& address) {
  const absl::Status status = rpc::CheckListenAddress(address);
  return std::string(status.message());
}

std::string CheckHttpAddress(const std::string& address) {
  if (address.empty()) return "";  // off
  return std::string(http::ParseAddress(address).status().message());
}

std::string CheckBudget(const std::string& text) {
  int64_t bytes = 0;
  if (!CLI::detail::lexical_cast(text, bytes)) {
    return fmt::format("{}, want a number of bytes", text);
  }
  const std::string want = rpc::CheckMemoryBudget(bytes);
  return want.empty() ? "" : fmt::format("{}, want {}", text, want);
}

// Every flag is a variable of the environment, too.
CLI::Option* Named(CLI::Option* option) {
  return option->envname(EnvironmentName(option->get_lnames().front()));
}

void AddFlags(CLI::App& app, Values& values) {
  rpc::Options& options = values.options;
  Named(app.add_option("--listen", options.listen,
                       "Where to listen: HOST:PORT or unix:PATH; repeatable. "
                       "Port 0 picks a free one"))
      ->check(CLI::Validator(CheckAddress, "ADDRESS"))
      ->allow_extra_args(false)
      ->delimiter(',')
      ->default_str(options.listen.front());
  Named(app.add_option("--threads", options.compute_threads,
                       "Threads that compute; 0: as many as the CPU quota and "
                       "the affinity mask give"))
      ->check(CLI::Range(0, rpc::kMaxComputeThreads))
      ->capture_default_str();
  Named(app.add_option("--kernel", options.kernel,
                       "Instruction set to compute on, for support and tests: "
                       "the bits are the same; default the machine's best"))
      ->check(CLI::Validator(
          [](const std::string& name) {
            return std::string(rpc::CheckKernel(name).message());
          },
          "NAME"));
  Named(app.add_option("--max-request-bytes", options.max_request_bytes,
                       "The largest request taken, in bytes"))
      ->check(CLI::Range(int64_t{1}, rpc::kLargestMaxRequestBytes))
      ->capture_default_str();
  Named(app.add_option("--memory-budget-bytes", options.memory_budget_bytes,
                       "Memory for all calls in flight, in bytes: who finds "
                       "none is told to come again; at least 16777216 (16 "
                       "MiB), 0: not bounded"))
      ->check(CLI::Validator(CheckBudget, "INT"))
      ->capture_default_str();
  Named(app.add_option("--receive-seconds", values.receive_seconds,
                       "How long a call may keep reserved memory from others "
                       "that wait for it before its message is there, in "
                       "seconds"))
      ->check(CLI::Range(int64_t{1}, kMaxSeconds))
      ->capture_default_str();
  Named(app.add_option("--drain-seconds", values.drain_seconds,
                       "After SIGTERM, how long calls in flight may take "
                       "before they are cancelled, in seconds"))
      ->check(CLI::Range(int64_t{0}, kMaxSeconds))
      ->capture_default_str();
  Named(app.add_option("--lame-duck-seconds", values.lame_duck_seconds,
                       "After SIGTERM, how long new calls are still served "
                       "while health says NOT_SERVING, in seconds"))
      ->check(CLI::Range(int64_t{0}, kMaxSeconds))
      ->capture_default_str();
  Named(app.add_flag("--reflection,!--no-reflection", options.reflection,
                     "Let clients ask for the service's description; default "
                     "on"))
      ->default_str("true");
  Named(app.add_flag("--channelz,!--no-channelz", options.channelz,
                     "Let clients ask for gRPC's connections and calls, with "
                     "the addresses of peers; default off"))
      ->default_str("false");
}

CLI::Validator ReloadRange() {
  return CLI::Range(int64_t{1}, int64_t{rpc::kLongestReload.count()});
}

// Who is let in, and how.
void AddSecurityFlags(CLI::App& app, Values& values) {
  rpc::Options& options = values.options;
  Named(app.add_flag("--allow-insecure,!--no-allow-insecure",
                     options.allow_insecure,
                     "Speak plaintext on addresses that other machines reach, "
                     "too; default off"))
      ->default_str("false");
  Named(app.add_option("--tls-certificate", options.tls.certificate,
                       "PEM file with the server's certificate, then those up "
                       "to its issuer: every HOST:PORT speaks TLS; needs "
                       "--tls-key"))
      ->type_name("FILE");
  Named(app.add_option("--tls-key", options.tls.key,
                       "PEM file with the certificate's private key, without a "
                       "password"))
      ->type_name("FILE");
  Named(app.add_option("--tls-client-ca", options.tls.client_ca,
                       "PEM file with the issuers of client certificates: "
                       "every caller over TLS must show one"))
      ->type_name("FILE");
  Named(app.add_option("--tls-reload-seconds", values.tls_reload_seconds,
                       "How often the TLS files are looked at for new "
                       "contents, in seconds"))
      ->check(ReloadRange())
      ->capture_default_str();
  Named(app.add_option("--authorization-policy", options.authorization_policy,
                       "JSON file with gRPC's authorization policy: who may "
                       "call what; turns reflection off; default everybody "
                       "everything"))
      ->type_name("FILE");
  Named(app.add_option("--authorization-reload-seconds",
                       values.authorization_reload_seconds,
                       "How often the policy is looked at for new contents, in "
                       "seconds"))
      ->check(ReloadRange())
      ->capture_default_str();
}

// What tells operators how the server does.
void AddMonitoringFlags(CLI::App& app, Values& values) {
  Named(app.add_option("--http-listen", values.http_listen,
                       "Where to serve HTTP (/metrics, /healthz, /readyz, the "
                       "playground at /, JSON calls under /v1/): HOST:PORT, of "
                       "the loopback unless --allow-insecure. "
                       "Port 0 picks a free one; default off"))
      ->check(CLI::Validator(CheckHttpAddress, "ADDRESS"));
  Named(app.add_option("--http-max-body-bytes", values.http_max_body_bytes,
                       "The largest body of a JSON call, in bytes: it takes "
                       "some ten times as much memory"))
      ->check(CLI::Range(int64_t{1}, kLargestHttpBodyBytes))
      ->capture_default_str();
  Named(app.add_option("--log-format", values.log_format,
                       "How each event is written to stderr"))
      ->capture_default_str()
      ->check(CLI::IsMember({kTextFormat, kJsonFormat}));
}

void ConfigureApp(CLI::App& app) {
  app.set_version_flag("--version", "lossd " LOSSD_VERSION);
  // CLI11 reads the file before the environment: its name is looked up here.
  const std::string file = FromEnvironment("LOSSD_CONFIG");
  app.set_config("--config", file,
                 "Read flags from FILE: name = value per line",
                 /*config_required=*/!file.empty())
      ->envname("LOSSD_CONFIG")
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigBelowEnvironment>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_flag_callback(
         "--print-config", [] {},
         "Print the settings that a start with these flags would have, as "
         "a file for --config, and end")
      ->configurable(false);
  app.footer(
      "Each flag is also read from the environment, as in "
      "LOSSD_MAX_REQUEST_BYTES.\nFlags go before the environment, the "
      "environment before the file, the file before the defaults.");
}

// CLI11's messages, on one line.
std::string OneLine(std::string message) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  for (char& c : message) c = c == '\n' ? ' ' : c;
  return message;
}

Flags WithExitCode(int exit_code) {
  Flags flags;
  flags.exit_code = exit_code;
  return flags;
}

}  // namespace

Flags ParseFlags(int argc, const char* const* argv) {
  CLI::App app("lossd: losses of batched logits and their gradients, over gRPC",
               "lossd");
  Values values;
  ConfigureApp(app);
  AddFlags(app, values);
  AddSecurityFlags(app, values);
  AddMonitoringFlags(app, values);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return WithExitCode(app.exit(success));
  } catch (const CLI::Error& error) {
    fmt::print(stderr, "lossd: {}\n", OneLine(error.what()));
    return WithExitCode(kBadUsage);
  }
  if (app.count("--print-config") > 0) {
    fmt::print("{}", app.config_to_str(/*default_also=*/true));
    return WithExitCode(0);
  }
  values.options.receive_patience =
      std::chrono::seconds(values.receive_seconds);
  values.options.drain = std::chrono::seconds(values.drain_seconds);
  values.options.lame_duck = std::chrono::seconds(values.lame_duck_seconds);
  values.options.tls.reload = std::chrono::seconds(values.tls_reload_seconds);
  values.options.authorization_reload =
      std::chrono::seconds(values.authorization_reload_seconds);
  // What flags mean together.
  absl::Status status = rpc::CheckExposure(values.options);
  if (!values.http_listen.empty()) {
    status.Update(
        http::CheckExposure(values.http_listen, values.options.allow_insecure));
  }
  if (!status.ok()) {
    fmt::print(stderr, "lossd: {}\n", std::string(status.message()));
    return WithExitCode(kBadUsage);
  }
  return {.options = values.options,
          .http_listen = values.http_listen,
          .http_max_body_bytes = values.http_max_body_bytes,
          .log_format = values.log_format == kJsonFormat
                            ? rpc::LogFormat::kJson
                            : rpc::LogFormat::kText,
          .exit_code = std::nullopt};
}

}  // namespace lossd
