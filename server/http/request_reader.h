// Takes a request's JSON apart: nested rows here, the rest for protobuf.
#ifndef LOSSD_SERVER_HTTP_REQUEST_READER_H_
#define LOSSD_SERVER_HTTP_REQUEST_READER_H_

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/http/nested_values.h"

namespace lossd::http {

// From the message down.
using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;

// A tensor that was written as nested rows, and where it belongs.
struct NestedTensor {
  FieldPath path;
  NestedValues values;
};

// Hears of the JSON's parts one by one and holds them against the message's
// descriptor: fields that are unknown or there twice, objects, lists and values
// in each other's place. As deep as the descriptor, and no deeper.
class RequestReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  // `type`: of the message; it outlives this.
  explicit RequestReader(const google::protobuf::Descriptor& type)
      : type_(type) {}

  // The first error: InvalidArgument.
  const absl::Status& status() const { return status_; }
  // The JSON without the nested rows.
  const std::string& plain_json() const { return plain_; }
  const std::vector<NestedTensor>& nested() const { return nested_; }

  // What the parser calls; each returns whether to go on.
  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(int64_t value) override;
  bool number_unsigned(uint64_t value) override;
  bool number_float(double value, const std::string& text) override;
  bool string(std::string& value) override;
  bool binary(binary_t& value) override;
  bool start_object(size_t elements) override;
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array(size_t elements) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error) override;

 private:
  // An object or a list that has not ended.
  struct Frame {
    const google::protobuf::Descriptor* type;  // null: a list
    // The field whose value comes next, or of which the list is. Null:
    // `values`.
    const google::protobuf::FieldDescriptor* field = nullptr;
    std::set<int> seen{};  // the numbers of an object's fields
    int64_t count = 0;     // of its elements or fields
  };

  bool Fail(absl::Status status);
  // INVALID_ARGUMENT: what is there is not what belongs there.
  bool FailType(std::string_view what, std::string_view want);
  // A number or text, as it stands in JSON.
  bool Scalar(std::string_view json, std::string_view what);
  bool Number(std::string_view json);
  // Whether nested rows may begin here.
  bool IsTensor() const;
  bool Nest();
  // Goes on after a part of nested rows.
  bool AfterNested(absl::Status status);
  // Writes what stands before a value.
  void Separate();
  // "loss.huber.delta", "logits.shape[1]": what is being read.
  std::string Path() const;
  FieldPath Fields() const;

  const google::protobuf::Descriptor& type_;
  absl::Status status_;
  std::string plain_;
  std::vector<Frame> frames_;
  std::vector<NestedTensor> nested_;
  bool is_nested_ = false;  // the last of them has not ended
};

}  // namespace lossd::http

#endif  // LOSSD_SERVER_HTTP_REQUEST_READER_H_
