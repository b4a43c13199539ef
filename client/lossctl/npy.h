// Arrays as NumPy stores them.
#ifndef LOSSD_CLIENT_LOSSCTL_NPY_H_
#define LOSSD_CLIENT_LOSSCTL_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd::lossctl {

using Shape = std::vector<size_t>;

// The elements are row-major, whatever the file's order was.
struct NpyArray {
  Shape shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<int32_t>,
               std::vector<int64_t>>
      values;
};

// Reads a .npy file of format 1.0 or 2.0 with little-endian float32, float64,
// int32 or int64 elements, in C or Fortran order. Errors: InvalidArgument,
// naming the file: it cannot be read, is no .npy file, has
//   another dtype, or is shorter or longer than its header says.
absl::StatusOr<NpyArray> ReadNpy(const std::string& path);

// The dtype of `array`, as in "float32".
std::string DtypeName(const NpyArray& array);

// Returns the elements of `array`, read from `path`, as T, float or double.
// Errors: InvalidArgument, naming the file: an integer array; an element that
//   T does not hold exactly.
template <typename T>
absl::StatusOr<std::vector<T>> FloatsOf(const std::string& path,
                                        const NpyArray& array);

// Returns the bytes of a .npy file with `values`, row-major in `shape`.
// T is float, double or int64_t. REQUIRES: as many values as `shape` holds.
template <typename T>
std::string NpyBytes(const std::vector<T>& values, const Shape& shape);

// Writes a shape as Python does: "(32, 27)", "(5,)", "()".
std::string ShapeString(const Shape& shape);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_NPY_H_
