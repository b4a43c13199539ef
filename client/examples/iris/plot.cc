#include "client/examples/iris/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lossd::iris {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 440;
constexpr double kLeft = 80;
constexpr double kRight = kWidth - 30;
constexpr double kTop = 50;
constexpr double kBottom = kHeight - 60;

// Both axes in pixels: iterations linear, deviance by its log10.
struct Axes {
  int iterations = 0;
  double low = 0.0;   // log10 of the deviance at the bottom
  double high = 0.0;  // and at the top

  double X(double iteration) const {
    return kLeft + (kRight - kLeft) * iteration / iterations;
  }
  double Y(double deviance) const {
    return kBottom -
           (kBottom - kTop) * (std::log10(deviance) - low) / (high - low);
  }
};

// About six ticks at a round distance: 1, 2 or 5 times a power of ten.
int TickDistance(int iterations) {
  for (int power = 1;; power *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (iterations <= 6 * factor * power) return factor * power;
    }
  }
}

std::string Grid(const Axes& axes) {
  std::string svg;
  const double lowest = std::pow(10.0, axes.low);
  const double highest = std::pow(10.0, axes.high);
  for (double power = std::pow(10.0, std::floor(axes.low)); power <= highest;
       power *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * power;
      if (value < lowest * 0.999 || value > highest * 1.001) continue;
      svg += fmt::format(
          "<line class='grid' x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}'/>\n"
          "<text x='{}' y='{:.1f}' text-anchor='end'>{:g}</text>\n",
          kLeft, kRight, axes.Y(value), axes.Y(value), kLeft - 8,
          axes.Y(value) + 4, value);
    }
  }
  const int distance = TickDistance(axes.iterations);
  for (int i = 0; i <= axes.iterations; i += distance) {
    svg += fmt::format(
        "<line class='axis' x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}'/>\n"
        "<text x='{0:.1f}' y='{3}' text-anchor='middle'>{4}</text>\n",
        axes.X(i), kBottom, kBottom + 5, kBottom + 20, i);
  }
  return svg;
}

std::string Curve(const Axes& axes, const std::vector<double>& deviances) {
  std::string points;
  std::string dots;
  for (size_t i = 0; i < deviances.size(); ++i) {
    const double x = axes.X(static_cast<double>(i) + 1);
    const double y = axes.Y(deviances[i]);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    dots += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5'/>\n", x, y);
  }
  return fmt::format("<polyline points='{}'/>\n{}", points, dots);
}

}  // namespace

std::string TrainingCurveSvg(const std::vector<double>& deviances,
                             double final_deviance) {
  const auto [least, most] =
      std::minmax_element(deviances.begin(), deviances.end());
  const Axes axes = {.iterations = static_cast<int>(deviances.size()),
                     .low = std::log10(*least * 0.8),
                     .high = std::log10(*most * 1.2)};
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' "
      "viewBox='0 0 {0} {1}'>\n"
      "<style>text {{ font: 13px sans-serif; fill: #222 }} "
      ".title {{ font-size: 16px }} .grid {{ stroke: #ddd }} "
      ".axis {{ stroke: #222 }} circle {{ fill: #1f6fb4 }} "
      "polyline {{ fill: none; stroke: #1f6fb4; stroke-width: 1.5 }}</style>\n"
      "<rect width='{0}' height='{1}' fill='white'/>\n"
      "<text class='title' x='{2}' y='28'>Softmax regression on 150 irises, "
      "losses and gradients from lossd</text>\n"
      "{3}"
      "<line class='axis' x1='{2}' x2='{2}' y1='{4}' y2='{5}'/>\n"
      "<line class='axis' x1='{2}' x2='{6}' y1='{5}' y2='{5}'/>\n"
      "{7}"
      "<text x='{8}' y='{9}' text-anchor='middle'>iteration of L-BFGS</text>\n"
      "<text transform='translate(24 {10}) rotate(-90)' text-anchor='middle'>"
      "residual deviance (nats, log scale)</text>\n"
      "<text x='{11:.1f}' y='{12:.1f}' text-anchor='end'>{13:.4f}</text>\n"
      "</svg>\n",
      kWidth, kHeight, kLeft, Grid(axes), kTop, kBottom, kRight,
      Curve(axes, deviances), (kLeft + kRight) / 2, kHeight - 18,
      (kTop + kBottom) / 2, axes.X(axes.iterations),
      axes.Y(deviances.back()) - 10, final_deviance);
}

}  // namespace lossd::iris
