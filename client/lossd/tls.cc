#include "client/lossd/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

absl::Status BadFile(const char* option, const std::string& path,
                     const std::string& want) {
  return absl::InvalidArgumentError(
      absl::StrCat(option, " = ", path, ", want ", want));
}

absl::Status CheckPair(const TlsOptions& tls) {
  if (tls.certificate_file.empty() == tls.key_file.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      tls.key_file.empty()
          ? absl::StrCat("tls.key_file: missing, want the private key of ",
                         tls.certificate_file)
          : absl::StrCat(
                "tls.certificate_file: missing, want the certificate of ",
                tls.key_file));
}

// Reads the file that `option` names, if it names one.
absl::Status ReadFile(const char* option, const std::string& path,
                      std::string* contents) {
  if (path.empty()) return absl::OkStatus();
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file.is_open() || !(text << file.rdbuf())) {
    return BadFile(
        option, path,
        absl::StrCat("a file to read: ",
                     errno == 0 ? "it is empty" : std::strerror(errno)));
  }
  *contents = text.str();
  return absl::OkStatus();
}

// Of files that it cannot use gRPC says "empty address list" in every call.
absl::Status CheckContents(const TlsOptions& tls) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
      SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  // Nobody is asked for a password.
  SSL_CTX_set_default_passwd_cb(context.get(),
                                [](char*, int, int, void*) { return -1; });
  absl::Status status;
  const auto check = [&](const char* option, const std::string& path, int done,
                         const char* want) {
    if (done != 1) status.Update(BadFile(option, path, want));
  };
  if (!tls.ca_file.empty()) {
    check("tls.ca_file", tls.ca_file,
          SSL_CTX_load_verify_file(context.get(), tls.ca_file.c_str()),
          "certificates in PEM");
  }
  if (!tls.certificate_file.empty()) {
    check("tls.certificate_file", tls.certificate_file,
          SSL_CTX_use_certificate_chain_file(context.get(),
                                             tls.certificate_file.c_str()),
          "certificates in PEM");
    check("tls.key_file", tls.key_file,
          SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(),
                                      SSL_FILETYPE_PEM),
          "the private key of tls.certificate_file in PEM, without a password");
  }
  ERR_clear_error();
  return status;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientOptions& options) {
  if (!options.tls.has_value()) return grpc::InsecureChannelCredentials();
  const TlsOptions& tls = *options.tls;
  absl::Status status = CheckPair(tls);
  grpc::SslCredentialsOptions files;
  status.Update(ReadFile("tls.ca_file", tls.ca_file, &files.pem_root_certs));
  status.Update(ReadFile("tls.certificate_file", tls.certificate_file,
                         &files.pem_cert_chain));
  status.Update(ReadFile("tls.key_file", tls.key_file, &files.pem_private_key));
  if (status.ok()) status = CheckContents(tls);
  if (!status.ok()) return status;
  return grpc::SslCredentials(files);
}

}  // namespace lossd
