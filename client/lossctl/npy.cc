#include "client/lossctl/npy.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xnpy.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lossd::lossctl {
namespace {

absl::Status FileError(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

struct Header {
  std::string dtype;  // as NumPy writes it: "<f4"
  bool fortran_order = false;
  Shape shape;
  size_t data_offset = 0;  // in the file, in bytes
};

// xnpy's own reader of files takes the header's length for signed bytes and
// does not see a short file; only its parser of the header's text is used.
absl::StatusOr<Header> ReadHeader(const std::string& path,
                                  std::string_view file) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  constexpr size_t kVersionEnd = kMagic.size() + 2;
  if (file.substr(0, kMagic.size()) != kMagic || file.size() < kVersionEnd) {
    return FileError(path, "no .npy file: it does not start with \\x93NUMPY");
  }
  const int version = static_cast<unsigned char>(file[kMagic.size()]);
  if (version != 1 && version != 2) {
    return FileError(
        path, absl::StrCat(".npy format ", version, ".x, want 1.0 or 2.0"));
  }
  const size_t length_bytes = version == 1 ? 2 : 4;
  size_t length = 0;
  if (file.size() < kVersionEnd + length_bytes) {
    return FileError(path, "the file ends inside its header");
  }
  for (size_t i = 0; i < length_bytes; ++i) {
    length |= size_t{static_cast<unsigned char>(file[kVersionEnd + i])}
              << (8 * i);
  }
  Header header;
  header.data_offset = kVersionEnd + length_bytes + length;
  if (file.size() < header.data_offset) {
    return FileError(path, "the file ends inside its header");
  }
  const std::string text(file.substr(kVersionEnd + length_bytes, length));
  if (text.find('{') == std::string::npos) {
    return FileError(path, "the header holds no dictionary");
  }
  try {
    xt::detail::parse_header(text, header.dtype, &header.fortran_order,
                             header.shape);
  } catch (const std::exception& error) {
    return FileError(path, absl::StrCat("bad .npy header: ", error.what()));
  }
  return header;
}

template <typename T>
absl::StatusOr<NpyArray> ReadElements(const std::string& path,
                                      const Header& header,
                                      std::string_view data) {
  size_t count = 1;
  size_t bytes = 0;
  bool overflow = false;
  for (const size_t length : header.shape) {
    overflow |= __builtin_mul_overflow(count, length, &count);
  }
  overflow |= __builtin_mul_overflow(count, sizeof(T), &bytes);
  if (overflow || bytes != data.size()) {
    return FileError(
        path,
        absl::StrCat("the header's shape ", ShapeString(header.shape), " of ",
                     sizeof(T), "-byte elements does not fit the ", data.size(),
                     " bytes of data that follow"));
  }
  std::vector<T> values(count);
  if (bytes > 0) std::memcpy(values.data(), data.data(), bytes);
  if (header.fortran_order) {
    const auto columns =
        xt::adapt<xt::layout_type::column_major>(values, header.shape);
    const xt::xarray<T, xt::layout_type::row_major> rows = columns;
    return NpyArray{header.shape, std::vector<T>(rows.begin(), rows.end())};
  }
  return NpyArray{header.shape, std::move(values)};
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return FileError(path, "is a directory");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return FileError(path, std::strerror(errno));
  std::ostringstream contents;
  contents << stream.rdbuf();
  if (stream.bad()) return FileError(path, "cannot be read");
  return contents.str();
}

}  // namespace

absl::StatusOr<NpyArray> ReadNpy(const std::string& path) {
  const auto file = ReadFile(path);
  if (!file.ok()) return file.status();
  const auto header = ReadHeader(path, *file);
  if (!header.ok()) return header.status();
  const auto data = std::string_view(*file).substr(header->data_offset);
  if (header->dtype == "<f4") return ReadElements<float>(path, *header, data);
  if (header->dtype == "<f8") return ReadElements<double>(path, *header, data);
  if (header->dtype == "<i4") return ReadElements<int32_t>(path, *header, data);
  if (header->dtype == "<i8") return ReadElements<int64_t>(path, *header, data);
  return FileError(path, absl::StrCat("dtype ", header->dtype,
                                      ", want <f4, <f8, <i4 or <i8"));
}

std::string DtypeName(const NpyArray& array) {
  constexpr const char* kNames[] = {"float32", "float64", "int32", "int64"};
  return kNames[array.values.index()];
}

template <typename T>
absl::StatusOr<std::vector<T>> FloatsOf(const std::string& path,
                                        const NpyArray& array) {
  if (const auto* same = std::get_if<std::vector<T>>(&array.values)) {
    return *same;
  }
  using Other = std::conditional_t<sizeof(T) == 4, double, float>;
  const auto* other = std::get_if<std::vector<Other>>(&array.values);
  if (other == nullptr) {
    return FileError(path, absl::StrCat("dtype ", DtypeName(array),
                                        ", want float32 or float64"));
  }
  std::vector<T> values;
  for (const Other value : *other) {
    values.push_back(static_cast<T>(value));
    if (values.back() != value && !std::isnan(value)) {
      return FileError(path,
                       absl::StrCat("element ", values.size() - 1, " = ", value,
                                    " is no float32, which the logits are"));
    }
  }
  return values;
}

template <typename T>
std::string NpyBytes(const std::vector<T>& values, const Shape& shape) {
  return xt::dump_npy(xt::adapt<xt::layout_type::row_major>(values, shape));
}

template absl::StatusOr<std::vector<float>> FloatsOf(const std::string&,
                                                     const NpyArray&);
template absl::StatusOr<std::vector<double>> FloatsOf(const std::string&,
                                                      const NpyArray&);
template std::string NpyBytes(const std::vector<float>&, const Shape&);
template std::string NpyBytes(const std::vector<double>&, const Shape&);
template std::string NpyBytes(const std::vector<int64_t>&, const Shape&);

std::string ShapeString(const Shape& shape) {
  return absl::StrCat("(", absl::StrJoin(shape, ", "),
                      shape.size() == 1 ? ",)" : ")");
}

}  // namespace lossd::lossctl
