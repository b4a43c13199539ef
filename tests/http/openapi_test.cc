// server/http/openapi.json against the contract, field by field.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "lossd/v1/loss_service.pb.h"
#include "server/http/assets.h"
#include "tests/http/http_caller.h"

namespace lossd::http {
namespace {

namespace pb = google::protobuf;

using nlohmann::json;

const json& Document() {
  static const json document = json::parse(FindAsset("openapi.json")->bytes);
  return document;
}

const json& Schema(const std::string& name) {
  return Document()["components"]["schemas"][name];
}

std::set<std::string> KeysOf(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

std::string RefOf(const json& schema) {
  const json& at = schema.contains("allOf") ? schema["allOf"][0] : schema;
  const std::string ref = at.value("$ref", "");
  return ref.substr(ref.rfind('/') + 1);
}

// The contract as it is written: comments are not in the descriptors.
const std::string& ContractText() {
  static const std::string text = [] {
    std::ifstream file(LOSSD_SOURCE_DIR "/proto/lossd/v1/loss_service.proto");
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }();
  return text;
}

// The comment above a field.
std::string CommentOf(const pb::FieldDescriptor& field) {
  const std::string& text = ContractText();
  const size_t message =
      text.find("\nmessage " + field.containing_type()->name() + " {");
  const size_t at = text.find(
      " " + field.name() + " = " + std::to_string(field.number()) + ";",
      message);
  EXPECT_NE(at, text.npos) << field.full_name();
  std::istringstream lines(text.substr(message, at - message));
  std::string comment;
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find_first_not_of(' ');
    const bool is_comment =
        begin != line.npos && line.compare(begin, 2, "//") == 0;
    // The last line is the field's own beginning.
    if (is_comment) {
      comment += line;
    } else if (!lines.eof()) {
      comment.clear();
    }
  }
  EXPECT_NE(comment, "") << field.full_name();
  return comment;
}

bool IsRequired(const pb::FieldDescriptor& field) {
  return CommentOf(field).find("required") != std::string::npos;
}

// What a field's schema says it is.
std::string WantOf(const pb::FieldDescriptor& field, bool in_request) {
  switch (field.type()) {
    case pb::FieldDescriptor::TYPE_MESSAGE:
      return in_request && field.message_type()->name() == "Tensor"
                 ? "TensorOrRows"
                 : field.message_type()->name();
    case pb::FieldDescriptor::TYPE_ENUM:
      return field.enum_type()->name();
    case pb::FieldDescriptor::TYPE_INT64:
      return "Int64";
    case pb::FieldDescriptor::TYPE_DOUBLE:
    case pb::FieldDescriptor::TYPE_FLOAT:
      return "Number";
    case pb::FieldDescriptor::TYPE_INT32:
      return "integer";
    case pb::FieldDescriptor::TYPE_BOOL:
      return "boolean";
    default:
      return "string";
  }
}

void CheckEnum(const pb::EnumDescriptor& type) {
  std::set<std::string> want;
  for (int i = 0; i < type.value_count(); ++i) {
    want.insert(type.value(i)->name());
  }
  EXPECT_EQ(Schema(type.name())["enum"].get<std::set<std::string>>(), want);
}

class OpenApiTest : public testing::Test {
 protected:
  // Holds the schema of `type` and of all it has against it.
  void Check(const pb::Descriptor& type, bool in_request) {
    if (!seen_.insert(type.name()).second) return;
    SCOPED_TRACE(type.name());
    const json& schema = Schema(type.name());
    ASSERT_TRUE(schema.is_object());
    EXPECT_EQ(schema["additionalProperties"], false);
    std::set<std::string> fields;
    std::set<std::string> required;
    // Beside protobuf's mapping.
    if (type.name() == "Tensor") fields.insert("values");
    for (int i = 0; i < type.field_count(); ++i) {
      const pb::FieldDescriptor& field = *type.field(i);
      fields.insert(field.json_name());
      if (IsRequired(field)) required.insert(field.json_name());
      CheckField(field, schema["properties"][field.json_name()], in_request);
    }
    EXPECT_EQ(KeysOf(schema["properties"]), fields);
    EXPECT_EQ(
        schema.value("required", json::array()).get<std::set<std::string>>(),
        required);
  }

  void CheckField(const pb::FieldDescriptor& field, const json& schema,
                  bool in_request) {
    SCOPED_TRACE(field.name());
    EXPECT_NE(schema.value("description", ""), "");
    EXPECT_EQ(schema.value("type", "") == "array", field.is_repeated());
    const json& of = field.is_repeated() ? schema["items"] : schema;
    const std::string said =
        RefOf(of).empty() ? of.value("type", "") : RefOf(of);
    EXPECT_EQ(said, WantOf(field, in_request));
    if (field.message_type() != nullptr) {
      Check(*field.message_type(), in_request);
    }
    if (field.enum_type() != nullptr) CheckEnum(*field.enum_type());
    if (!RefOf(of).empty()) seen_.insert(RefOf(of));
  }

  std::set<std::string> seen_;
};

TEST_F(OpenApiTest, HasEveryFieldAndNameOfTheContractAndNoOther) {
  Check(*v1::ComputeLossRequest::descriptor(), true);
  Check(*v1::ComputeHessianVectorProductRequest::descriptor(), true);
  Check(*v1::ComputeLossResponse::descriptor(), false);
  Check(*v1::ComputeHessianVectorProductResponse::descriptor(), false);
  Check(*v1::GetServerInfoResponse::descriptor(), false);
  seen_.insert({"Rows", "Status", "Int64", "Number", "TensorOrRows"});
  EXPECT_EQ(KeysOf(Document()["components"]["schemas"]), seen_);
}

// Every $ref below `at` leads somewhere.
void CheckRefs(const json& at) {
  if (at.is_object() && at.contains("$ref")) {
    EXPECT_TRUE(Schema(RefOf(at)).is_object()) << at;
  }
  if (!at.is_structured()) return;
  for (const json& below : at) CheckRefs(below);
}

TEST_F(OpenApiTest, HasNoLooseEnd) { CheckRefs(Document()); }

TEST_F(OpenApiTest, HasThePathsThatAreServed) {
  EXPECT_EQ(KeysOf(Document()["paths"]),
            (std::set<std::string>{kCompute, kHessian, kInfo}));
  HttpCaller caller;
  EXPECT_EQ(caller.Get("/v1/openapi.json").body, Document());
}

TEST_F(OpenApiTest, HasExamplesWithTheirAnswers) {
  HttpCaller caller;
  int examples = 0;
  for (const char* path : {kCompute, kHessian}) {
    const json& call = Document()["paths"][path]["post"];
    const json& requests =
        call["requestBody"]["content"]["application/json"]["examples"];
    const json& answers =
        call["responses"]["200"]["content"]["application/json"]["examples"];
    for (const auto& [name, request] : requests.items()) {
      const HttpAnswer answer = caller.Post(path, request["value"].dump());
      EXPECT_EQ(answer.status, 200) << name;
      EXPECT_EQ(answer.body, answers[name]["value"]) << name;
      ++examples;
    }
  }
  EXPECT_EQ(examples, 4);
}

}  // namespace
}  // namespace lossd::http
