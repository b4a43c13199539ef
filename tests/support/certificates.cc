#include "tests/support/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <utility>

namespace lossd {
namespace {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

constexpr long kHalfValiditySeconds = 1800;

// Whatever OpenSSL refuses here is this file's mistake.
template <typename T>
T Must(T result) {
  if (!result) std::abort();
  return result;
}

template <typename Write>
std::string ToPem(Write write) {
  const std::unique_ptr<BIO, Freed<BIO_free>> bio(Must(BIO_new(BIO_s_mem())));
  Must(write(bio.get()));
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, size);
}

std::string ToPem(X509* certificate) {
  return ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

void AddExtension(X509* certificate, X509* issuer, int id,
                  const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      Must(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str())));
  Must(X509_add_ext(certificate, extension.get(), -1));
}

// Everything but extensions and signature.
Certificate NewCertificate(EVP_PKEY* key, const char* name) {
  Certificate certificate(Must(X509_new()));
  X509* const x509 = certificate.get();
  Must(X509_set_version(x509, X509_VERSION_3));
  uint64_t serial = 0;
  Must(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)));
  Must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1));
  Must(X509_gmtime_adj(X509_getm_notBefore(x509), -kHalfValiditySeconds));
  Must(X509_gmtime_adj(X509_getm_notAfter(x509), kHalfValiditySeconds));
  Must(X509_set_pubkey(x509, key));
  Must(X509_NAME_add_entry_by_txt(
      X509_get_subject_name(x509), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(name), -1, -1, 0));
  return certificate;
}

}  // namespace

struct Authority::Signer {
  Key key{Must(EVP_EC_gen("P-256"))};
  Certificate certificate = NewCertificate(key.get(), "lossd test authority");
};

Authority::Authority() : signer_(std::make_unique<Signer>()) {
  X509* const own = signer_->certificate.get();
  Must(X509_set_issuer_name(own, X509_get_subject_name(own)));
  AddExtension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(own, own, NID_key_usage, "critical,keyCertSign");
  Must(X509_sign(own, signer_->key.get(), EVP_sha256()));
  certificate_ = ToPem(own);
}

Authority::~Authority() = default;

Identity Authority::Issue(const std::string& names,
                          const std::string& password) const {
  const Key key(Must(EVP_EC_gen("P-256")));
  const Certificate certificate = NewCertificate(key.get(), "lossd test");
  X509* const x509 = certificate.get();
  X509* const issuer = signer_->certificate.get();
  Must(X509_set_issuer_name(x509, X509_get_subject_name(issuer)));
  AddExtension(x509, issuer, NID_subject_alt_name, names);
  Must(X509_sign(x509, signer_->key.get(), EVP_sha256()));
  return {ToPem(x509), ToPem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(
                bio, key.get(), password.empty() ? nullptr : EVP_aes_128_cbc(),
                reinterpret_cast<const unsigned char*>(password.data()),
                static_cast<int>(password.size()), nullptr, nullptr);
          })};
}

}  // namespace lossd
