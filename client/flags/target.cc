#include "client/flags/target.h"

namespace lossd {

void AddTargetFlags(CLI::App& app, TargetFlags* flags) {
  app.add_option("--target", flags->target,
                 "The server: HOST:PORT or unix:PATH")
      ->envname("LOSSD_TARGET")
      ->capture_default_str();
  app.add_flag("--tls", flags->tls,
               "Speak TLS to the server; implied by the flags below")
      ->envname("LOSSD_TLS");
  TlsOptions& tls = flags->tls_options;
  app.add_option("--tls-ca", tls.ca_file,
                 "PEM file with the issuers to trust; default the system's")
      ->envname("LOSSD_TLS_CA")
      ->type_name("FILE");
  // lossd has its own certificate under LOSSD_TLS_CERTIFICATE, and a health
  // check shares its environment.
  app.add_option("--tls-certificate", tls.certificate_file,
                 "PEM file with a certificate to show to a server that asks; "
                 "needs --tls-key")
      ->envname("LOSSD_TLS_CLIENT_CERTIFICATE")
      ->type_name("FILE");
  app.add_option("--tls-key", tls.key_file,
                 "PEM file with the certificate's private key")
      ->envname("LOSSD_TLS_CLIENT_KEY")
      ->type_name("FILE");
  app.add_option("--tls-server-name", tls.server_name,
                 "The name that the server's certificate must bear; default "
                 "the target's host")
      ->envname("LOSSD_TLS_SERVER_NAME")
      ->type_name("NAME");
}

ClientOptions ClientOptionsFrom(const TargetFlags& flags) {
  ClientOptions options;
  options.target = flags.target;
  const TlsOptions& tls = flags.tls_options;
  if (flags.tls || !tls.ca_file.empty() || !tls.certificate_file.empty() ||
      !tls.key_file.empty() || !tls.server_name.empty()) {
    options.tls = tls;
  }
  return options;
}

}  // namespace lossd
