#include "server/compute/kernel.h"

#include <algorithm>
#include <cassert>

#include "hwy/highway.h"
#include "server/compute/losses/softmax_cross_entropy.h"

namespace lossd::compute {
namespace {

// Taken once, before a selection hides the others.
const std::vector<int64_t>& AvailableTargets() {
  static const std::vector<int64_t> targets =
      hwy::SupportedAndGeneratedTargets();
  return targets;
}

}  // namespace

std::vector<std::string> AvailableKernels() {
  std::vector<std::string> names;
  for (const int64_t target : AvailableTargets()) {
    names.push_back(hwy::TargetName(target));
  }
  return names;
}

std::string_view ActiveKernel() { return SoftmaxCrossEntropyKernel(); }

void SelectKernel(std::string_view name) {
  const std::vector<std::string> names = AvailableKernels();
  const auto found = std::find(names.begin(), names.end(), name);
  assert(found != names.end());
  // The one way that Highway 1.0.3 has to choose the baseline, too.
  hwy::SetSupportedTargetsForTest(AvailableTargets()[found - names.begin()]);
  hwy::GetChosenTarget().DeInit();
}

}  // namespace lossd::compute
