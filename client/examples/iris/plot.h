#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_

#include <string>
#include <vector>

namespace lossd::iris {

// Returns an SVG picture of the deviance after each iteration (from 1), on a
// logarithmic axis, with `final_deviance` written beside the last point.
// REQUIRES: at least one value, all > 0 and finite.
std::string TrainingCurveSvg(const std::vector<double>& deviances,
                             double final_deviance);

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_PLOT_H_
