#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_

#include <string>
#include <vector>

namespace lossd::iris {

// A line through points. A single one's name stands beside its last point,
// several ones' in the upper right corner.
struct Curve {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
};

struct Plot {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<Curve> curves;
};

// Returns an SVG picture, the horizontal axis linear from 0, the vertical one
// logarithmic.
// REQUIRES: at most four curves, together at least one point; x >= 0, y > 0,
// all finite.
std::string LogPlotSvg(const Plot& plot);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_
