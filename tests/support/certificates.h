// Certificates that a test makes for itself.
#ifndef LOSSD_TESTS_SUPPORT_CERTIFICATES_H_
#define LOSSD_TESTS_SUPPORT_CERTIFICATES_H_

#include <memory>
#include <string>

namespace lossd {

// A certificate and its private key, in PEM.
struct Identity {
  std::string certificate;
  std::string key;
};

// One that signs certificates: keys on the curve P-256, valid for an hour
// around now.
class Authority {
 public:
  Authority();
  ~Authority();

  // What others trust to trust all that it signs; PEM.
  const std::string& certificate() const { return certificate_; }

  // A new identity with `names` as its subject's alternative names, in
  // OpenSSL's words: "DNS:localhost,IP:127.0.0.1" or "URI:spiffe://x/y". The
  // key is under `password`, if there is one.
  Identity Issue(const std::string& names,
                 const std::string& password = "") const;

 private:
  struct Signer;
  std::unique_ptr<Signer> signer_;
  std::string certificate_;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SUPPORT_CERTIFICATES_H_
