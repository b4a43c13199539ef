// Tensors written as nested rows of numbers: [[2, 1, 0.1], [0, 3, 0]].
#ifndef LOSSD_SERVER_HTTP_NESTED_VALUES_H_
#define LOSSD_SERVER_HTTP_NESTED_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::http {

// Takes the rows as they are read; keeps the numbers as they were written,
// until it is known what type they are to be of.
class NestedValues {
 public:
  // The most axes.
  static constexpr size_t kMaxRank = 32;

  // `field`: where it stands in the request, for errors.
  explicit NestedValues(std::string field) : field_(std::move(field)) {}

  // One more "[", "]" or number.
  // Errors: InvalidArgument: rows of different lengths, both of which are
  // named;
  //   rows among numbers; more than kMaxRank axes.
  absl::Status StartRow();
  absl::Status EndRow();
  // `number`: as JSON has it, or NaN, Infinity, -Infinity.
  absl::Status Add(std::string_view number);

  // Whether the outermost row has ended, or one number was all there is.
  bool is_complete() const { return counts_.empty() && is_rank_known_; }

  const std::string& field() const { return field_; }
  // "logits[2][0]": the element or row that comes next.
  std::string Path() const;
  // The length of each axis; none for one number alone.
  const std::vector<int64_t>& shape() const { return shape_; }
  // Whether no number has a point or an exponent, or is no number.
  bool are_integers() const { return are_integers_; }

  // Gives `tensor` this type, these elements, and their shape, unless it has
  // one that means the same. Errors: InvalidArgument, naming the element: out
  // of the type's range, no
  //   integer for a type of integers; a type that is none; another shape.
  absl::Status Fill(v1::DataType data_type, v1::Tensor& tensor) const;

 private:
  absl::Status FillShape(v1::Tensor& tensor) const;
  // The same of element `i`.
  std::string PathOf(int64_t i) const;
  // After an element or a row: one more in the row around it.
  void Count();

  const std::string field_;
  std::vector<int64_t> shape_;   // of each axis; -1 until a row of it has ended
  std::vector<int64_t> counts_;  // of what the open rows have so far
  bool is_rank_known_ = false;
  bool are_integers_ = true;
  std::string numbers_;  // each with a comma after it
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_NESTED_VALUES_H_
