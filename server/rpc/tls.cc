#include "server/rpc/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "server/rpc/errors.h"
#include "server/rpc/files.h"

namespace lossd::rpc {
namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

// Nobody is there to be asked for a password.
int NoPassword(char*, int, int, void*) { return -1; }

Bio Over(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// The first certificate of `option`'s file, where all of them can be parsed.
absl::StatusOr<Certificate> ReadCertificates(std::string_view option,
                                             const std::string& path) {
  const absl::StatusOr<std::string> pem = ReadFile(option, path);
  if (!pem.ok()) return pem.status();
  const Bio bio = Over(*pem);
  Certificate first;
  for (;;) {
    Certificate next(
        PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
    if (next == nullptr) break;
    if (first == nullptr) first = std::move(next);
  }
  // Whether it ended because there are no more.
  const bool ended =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (first == nullptr || !ended) {
    return BadFile(option, path, "certificates in PEM");
  }
  return first;
}

absl::StatusOr<Key> ReadKey(std::string_view option, const std::string& path) {
  const absl::StatusOr<std::string> pem = ReadFile(option, path);
  if (!pem.ok()) return pem.status();
  Key key(
      PEM_read_bio_PrivateKey(Over(*pem).get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return BadFile(option, path, "a private key in PEM, without a password");
  }
  return key;
}

}  // namespace

absl::Status CheckTlsFiles(const TlsFiles& files) {
  const absl::StatusOr<Certificate> certificate =
      ReadCertificates("tls_certificate", files.certificate);
  if (!certificate.ok()) return certificate.status();
  const absl::StatusOr<Key> key = ReadKey("tls_key", files.key);
  if (!key.ok()) return key.status();
  const bool match =
      X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  if (!match) {
    return BadFile("tls_key", files.key,
                   "the key of the certificate in " + files.certificate);
  }
  if (files.client_ca.empty()) return absl::OkStatus();
  return ReadCertificates("tls_client_ca", files.client_ca).status();
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files) {
  using grpc::experimental::FileWatcherCertificateProvider;
  const auto reload = static_cast<unsigned>(files.reload.count());
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, reload));
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace lossd::rpc
