#include "client/examples/iris_distillation/flowers.h"

#include <numeric>
#include <random>
#include <utility>

namespace lossd::iris {
namespace {

// `dataset` with `fill(x, to)` in place of each flower's features x.
template <typename Fill>
Dataset WithFeatures(const Dataset& dataset, Fill fill) {
  Dataset result = dataset;
  result.values.clear();
  for (int64_t row = 0; row < dataset.rows; ++row) {
    fill(&dataset.values[row * dataset.features], &result.values);
  }
  return result;
}

}  // namespace

Dataset WithProducts(const Dataset& dataset) {
  const int64_t features = dataset.features;
  Dataset result =
      WithFeatures(dataset, [&](const double* x, std::vector<double>* to) {
        to->insert(to->end(), x, x + features);
        for (int64_t i = 0; i < features; ++i) {
          for (int64_t j = i; j < features; ++j) to->push_back(x[i] * x[j]);
        }
      });
  const auto& names = dataset.feature_names;
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = i; j < names.size(); ++j) {
      result.feature_names.push_back(names[i] + " * " + names[j]);
    }
  }
  result.features = static_cast<int64_t>(result.feature_names.size());
  return result;
}

Dataset FirstFeatures(const Dataset& dataset, int64_t features) {
  Dataset result =
      WithFeatures(dataset, [&](const double* x, std::vector<double>* to) {
        to->insert(to->end(), x, x + features);
      });
  result.feature_names.resize(features);
  result.features = features;
  return result;
}

Dataset RowsOf(const Dataset& dataset, absl::Span<const int64_t> rows) {
  Dataset result = dataset;
  result.values.clear();
  result.labels.clear();
  result.rows = static_cast<int64_t>(rows.size());
  for (const int64_t row : rows) {
    const double* x = &dataset.values[row * dataset.features];
    result.values.insert(result.values.end(), x, x + dataset.features);
    result.labels.push_back(dataset.labels[row]);
  }
  return result;
}

// Not std::shuffle, whose order is the library's own.
std::vector<int64_t> Shuffled(int64_t rows, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = rows - 1; i > 0; --i) {
    std::swap(order[i], order[static_cast<int64_t>(random() % (i + 1))]);
  }
  return order;
}

}  // namespace lossd::iris
