#include "client/examples/iris/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lossd::iris {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 440;
constexpr double kLeft = 80;
constexpr double kRight = kWidth - 30;
constexpr double kTop = 50;
constexpr double kBottom = kHeight - 60;
constexpr const char* kColours[] = {"#1f6fb4", "#c8442a", "#3a8a3f", "#777"};

// Both axes in pixels: x linear, y by its log10.
struct Axes {
  double most = 0.0;  // x at the right end
  double low = 0.0;   // log10 of y at the bottom
  double high = 0.0;  // and at the top

  double X(double x) const { return kLeft + (kRight - kLeft) * x / most; }
  double Y(double y) const {
    return kBottom - (kBottom - kTop) * (std::log10(y) - low) / (high - low);
  }
};

Axes AxesOf(const Plot& plot) {
  double most = 0.0, least_y = std::numeric_limits<double>::infinity();
  double most_y = 0.0;
  for (const Curve& curve : plot.curves) {
    for (const double x : curve.x) most = std::max(most, x);
    for (const double y : curve.y) {
      least_y = std::min(least_y, y);
      most_y = std::max(most_y, y);
    }
  }
  return {most, std::log10(least_y * 0.8), std::log10(most_y * 1.2)};
}

// About six ticks at a round distance: 1, 2 or 5 times a power of ten.
int TickDistance(double most) {
  for (int power = 1;; power *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (most <= 6 * factor * power) return factor * power;
    }
  }
}

std::string GridLine(const Axes& axes, double y) {
  return fmt::format(
      "<line class='grid' x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}'/>\n"
      "<text x='{}' y='{:.1f}' text-anchor='end'>{:g}</text>\n",
      kLeft, kRight, axes.Y(y), axes.Y(y), kLeft - 8, axes.Y(y) + 4, y);
}

std::string Grid(const Axes& axes) {
  std::string svg;
  // Over many decades a line for every one, or second, or third.
  const int decades = static_cast<int>(axes.high - axes.low);
  const int stride = 1 + decades / 8;
  const std::vector<double> factors =
      decades < 4 ? std::vector<double>{1, 2, 5} : std::vector<double>{1};
  for (int power = static_cast<int>(std::floor(axes.low)); power <= axes.high;
       ++power) {
    if (power % stride != 0) continue;
    for (const double factor : factors) {
      const double y = factor * std::pow(10.0, power);
      const double log = std::log10(y);
      if (log >= axes.low && log <= axes.high) svg += GridLine(axes, y);
    }
  }
  const int distance = TickDistance(axes.most);
  for (int i = 0; i <= axes.most; i += distance) {
    svg += fmt::format(
        "<line class='axis' x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}'/>\n"
        "<text x='{0:.1f}' y='{3}' text-anchor='middle'>{4}</text>\n",
        axes.X(i), kBottom, kBottom + 5, kBottom + 20, i);
  }
  return svg;
}

struct Place {
  double x = 0.0;
  double y = 0.0;
};

std::string CurveSvg(const Axes& axes, const Curve& curve, const char* colour,
                     const Place& name) {
  std::string points;
  std::string dots;
  for (size_t i = 0; i < curve.x.size(); ++i) {
    const double x = axes.X(curve.x[i]);
    const double y = axes.Y(curve.y[i]);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    dots += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5'/>\n", x, y);
  }
  return fmt::format(
      "<g stroke='{0}' fill='{0}'>\n<polyline points='{1}'/>\n{2}"
      "<text x='{3:.1f}' y='{4:.1f}' text-anchor='end'>{5}</text>\n</g>\n",
      colour, points, dots, name.x, name.y, curve.name);
}

std::string CurvesSvg(const Axes& axes, const std::vector<Curve>& curves) {
  if (curves.size() == 1) {
    const Curve& curve = curves.front();
    return CurveSvg(axes, curve, kColours[0],
                    {axes.X(curve.x.back()), axes.Y(curve.y.back()) - 10});
  }
  std::string svg;
  for (size_t i = 0; i < curves.size(); ++i) {
    svg += CurveSvg(axes, curves[i], kColours[i],
                    {kRight - 8, kTop + 18 * static_cast<double>(i + 1)});
  }
  return svg;
}

}  // namespace

std::string LogPlotSvg(const Plot& plot) {
  const Axes axes = AxesOf(plot);
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' "
      "viewBox='0 0 {0} {1}'>\n"
      "<style>text {{ font: 13px sans-serif; stroke: none }} "
      ".title {{ font-size: 16px }} .grid {{ stroke: #ddd }} "
      ".axis {{ stroke: #222 }} "
      "polyline {{ fill: none; stroke-width: 1.5 }}</style>\n"
      "<rect width='{0}' height='{1}' fill='white'/>\n"
      "<text class='title' x='{2}' y='28'>{3}</text>\n"
      "{4}"
      "<line class='axis' x1='{2}' x2='{2}' y1='{5}' y2='{6}'/>\n"
      "<line class='axis' x1='{2}' x2='{7}' y1='{6}' y2='{6}'/>\n"
      "{8}"
      "<text x='{9}' y='{10}' text-anchor='middle'>{11}</text>\n"
      "<text transform='translate(24 {12}) rotate(-90)' text-anchor='middle'>"
      "{13}</text>\n"
      "</svg>\n",
      kWidth, kHeight, kLeft, plot.title, Grid(axes), kTop, kBottom, kRight,
      CurvesSvg(axes, plot.curves), (kLeft + kRight) / 2, kHeight - 18,
      plot.x_title, (kTop + kBottom) / 2, plot.y_title);
}

}  // namespace lossd::iris
