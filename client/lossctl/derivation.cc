#include "client/lossctl/derivation.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace lossd::lossctl {
namespace {

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

const char* Mark(const Derivation& d, size_t i) {
  return i == d.y ? "   <- y" : "";
}

std::string Definition(const Derivation& d) {
  std::string text = fmt::format(
      "Softmax cross-entropy of one sample, by hand\n\n"
      "    z = ({})    the logits\n"
      "    y = {}    the true class\n\n"
      "1. The loss is how surprising the true class is:\n\n"
      "    loss = -ln P_y      P_i = exp(z_i) / S      S = sum_j exp(z_j)\n\n"
      "      i           z_i      exp(z_i)           P_i\n",
      fmt::join(d.z, ", "), d.y);
  for (size_t i = 0; i < d.z.size(); ++i) {
    text += fmt::format("    {:3}  {:12.6g}  {:12.6g}  {:12.6g}{}\n", i, d.z[i],
                        d.exponentials[i], d.p[i], Mark(d, i));
  }
  text += fmt::format("    sum              S = {:10.6g}  {:12.6g}\n\n", d.sum,
                      Sum(d.p));
  text += fmt::format("    loss = -ln {:.6g} = {:.6g}\n\n", d.p[d.y], d.loss);
  return text;
}

std::string Logarithm(const Derivation& d) {
  return fmt::format(
      "2. The ln of a quotient is a difference, and ln undoes exp:\n\n"
      "    ln P_y = ln exp(z_y) - ln S\n"
      "           = z_y - ln S\n"
      "           = {:.6g} - {:.6g}\n"
      "           = {:.6g}\n\n"
      "   The derivative of z_y is [i = y]: 1 for the true class, else 0.\n"
      "   S holds exp(z_i) once, so dS/dz_i = exp(z_i), and by the chain "
      "rule\n\n"
      "    d(ln S)/dz_i   = (1/S) dS/dz_i = exp(z_i) / S = P_i\n"
      "    d(ln P_y)/dz_i = [i = y] - P_i\n\n",
      d.z[d.y], std::log(d.sum), d.log_p_y);
}

std::string ProductRule(const Derivation& d) {
  std::string text = fmt::format(
      "3. The same without that shortcut. P_y = exp(z_y) (1/S) is a product;\n"
      "   by the product rule, and the chain rule for 1/S,\n\n"
      "    dP_y/dz_i = [i = y] exp(z_y) (1/S)  +  exp(z_y) (-1/S^2) exp(z_i)\n"
      "              = [i = y] P_y             -  P_y P_i\n\n"
      "   and once more the chain rule, for -ln:\n\n"
      "    d loss/dz_i = (-1/P_y) dP_y/dz_i        -1/P_y = {:.6g}\n\n"
      "      i   [i = y] P_y     - P_y P_i    = dP_y/dz_i   times -1/P_y\n",
      -1.0 / d.p[d.y]);
  for (size_t i = 0; i < d.z.size(); ++i) {
    text += fmt::format("    {:3}  {:12.6g}  {:12.6g}  {:12.6g}  {:12.6g}{}\n",
                        i, i == d.y ? d.p[d.y] : 0.0, -d.p[d.y] * d.p[i],
                        d.dp_y[i], 0.0 - d.dp_y[i] / d.p[d.y], Mark(d, i));
  }
  return text + "\n";
}

std::string Result(const Derivation& d) {
  std::string text =
      "4. P_y cancels, and both ways end at the same line:\n\n"
      "    d loss/dz_i = (-1/P_y) ([i = y] P_y - P_y P_i)\n"
      "                = P_i - [i = y]\n\n"
      "      i           P_i       [i = y]      gradient\n";
  for (size_t i = 0; i < d.z.size(); ++i) {
    text += fmt::format("    {:3}  {:12.6g}  {:12}  {:12.6g}{}\n", i, d.p[i],
                        i == d.y ? 1 : 0, d.gradient[i], Mark(d, i));
  }
  text += fmt::format("    sum  {:12.6g}  {:12}  {:12.6g}\n\n", Sum(d.p), 1,
                      Sum(d.gradient));
  return text +
         "   The gradient sums to 0: adding one number to all logits changes "
         "nothing.\n\n";
}

}  // namespace

Derivation Derive(const std::vector<double>& z, size_t y) {
  Derivation d;
  d.z = z;
  d.y = y;
  for (const double z_i : z) d.exponentials.push_back(std::exp(z_i));
  d.sum = Sum(d.exponentials);
  for (const double e : d.exponentials) d.p.push_back(e / d.sum);
  d.log_p_y = z[y] - std::log(d.sum);
  d.loss = 0.0 - std::log(d.p[y]);  // 0, not -0, when P_y = 1
  for (size_t i = 0; i < z.size(); ++i) {
    const double indicator = i == y ? 1.0 : 0.0;
    d.dp_y.push_back(indicator * d.p[y] - d.p[y] * d.p[i]);
    d.gradient.push_back(d.p[i] - indicator);
  }
  return d;
}

std::string DerivationText(const Derivation& derivation) {
  return Definition(derivation) + Logarithm(derivation) +
         ProductRule(derivation) + Result(derivation);
}

}  // namespace lossd::lossctl
