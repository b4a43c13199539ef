#ifndef LOSSD_CLIENT_LOSSCTL_DERIVATION_H_
#define LOSSD_CLIENT_LOSSCTL_DERIVATION_H_

#include <cstddef>
#include <string>
#include <vector>

namespace lossd::lossctl {

// Softmax cross-entropy of one sample as one does it by hand, in float64.
struct Derivation {
  std::vector<double> z;
  size_t y = 0;

  std::vector<double> exponentials;  // exp(z_i)
  double sum = 0.0;                  // S
  std::vector<double> p;             // exp(z_i) / S
  double log_p_y = 0.0;              // z_y - ln S
  double loss = 0.0;                 // -ln P_y
  std::vector<double> dp_y;          // dP_y / dz_i, by the product rule
  std::vector<double> gradient;      // P_i - [i = y]
};

// REQUIRES: y < z.size(); each |z_i| <= 300, so that no exponential and no
// quotient of two overflows or vanishes.
Derivation Derive(const std::vector<double>& z, size_t y);

// Writes the derivation line by line with its numbers, from loss = -ln P_y to
// P_i - [i = y]: plain text, columns aligned.
std::string DerivationText(const Derivation& derivation);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_DERIVATION_H_
