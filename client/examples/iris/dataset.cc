#include "client/examples/iris/dataset.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lossd::iris {
namespace {

int64_t ClassIndex(const std::string& name, std::vector<std::string>* names) {
  const auto found = std::find(names->begin(), names->end(), name);
  if (found != names->end()) return found - names->begin();
  names->push_back(name);
  return static_cast<int64_t>(names->size()) - 1;
}

void StandardizeFeature(int64_t feature, Dataset* dataset) {
  const auto value = [&](int64_t row) -> double& {
    return dataset->values[row * dataset->features + feature];
  };
  const double n = static_cast<double>(dataset->rows);
  double mean = 0.0;
  for (int64_t row = 0; row < dataset->rows; ++row) mean += value(row) / n;
  double variance = 0.0;
  for (int64_t row = 0; row < dataset->rows; ++row) {
    value(row) -= mean;
    variance += value(row) * value(row) / n;
  }
  // A constant feature stays 0; Whiten refuses it.
  if (variance == 0.0) return;
  for (int64_t row = 0; row < dataset->rows; ++row) {
    value(row) /= std::sqrt(variance);
  }
}

}  // namespace

absl::StatusOr<Dataset> ReadDataset(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  if (!std::getline(stream, line)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  }
  Dataset dataset;
  dataset.feature_names = absl::StrSplit(line, ',');
  dataset.feature_names.pop_back();
  dataset.features = static_cast<int64_t>(dataset.feature_names.size());
  while (std::getline(stream, line)) {
    ++dataset.rows;
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    const std::string where = absl::StrCat(path, ":", dataset.rows + 1);
    if (fields.size() != dataset.feature_names.size() + 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          where, ": ", fields.size(), " fields, want ", dataset.features + 1));
    }
    for (int64_t i = 0; i < dataset.features; ++i) {
      double value = 0.0;
      if (!absl::SimpleAtod(fields[i], &value) || !std::isfinite(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": ", dataset.feature_names[i], " is \"",
                         fields[i], "\", want a finite number"));
      }
      dataset.values.push_back(value);
    }
    dataset.labels.push_back(ClassIndex(fields.back(), &dataset.class_names));
  }
  if (dataset.rows == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no flowers"));
  }
  return dataset;
}

void Standardize(Dataset* dataset) {
  for (int64_t i = 0; i < dataset->features; ++i) {
    StandardizeFeature(i, dataset);
  }
}

// Gram-Schmidt over the columns: the inverse Cholesky factor, applied as it is
// found.
absl::Status Whiten(Dataset* dataset) {
  const int64_t features = dataset->features;
  for (int64_t i = 0; i < features; ++i) {
    StandardizeFeature(i, dataset);
    for (int64_t j = 0; j < i; ++j) {
      double projection = 0.0;
      for (int64_t row = 0; row < dataset->rows; ++row) {
        const double* x = &dataset->values[row * features];
        projection += x[i] * x[j] / static_cast<double>(dataset->rows);
      }
      for (int64_t row = 0; row < dataset->rows; ++row) {
        double* x = &dataset->values[row * features];
        x[i] -= projection * x[j];
      }
    }
    double remainder = 0.0;
    for (int64_t row = 0; row < dataset->rows; ++row) {
      const double x = dataset->values[row * features + i];
      remainder += x * x / static_cast<double>(dataset->rows);
    }
    // What rounding leaves of a feature that was a sum of others.
    if (remainder < 1e-20) {
      return absl::InvalidArgumentError(
          absl::StrCat(dataset->feature_names[i],
                       " follows linearly from the features before it"));
    }
    StandardizeFeature(i, dataset);
  }
  return absl::OkStatus();
}

}  // namespace lossd::iris
