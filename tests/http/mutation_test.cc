// Bodies that are no request: each is refused with a reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/http/http_caller.h"

namespace lossd::http {
namespace {

constexpr int kBodies = 1000;

const std::vector<std::string>& Bodies() {
  static const std::vector<std::string> bodies = {
      R"({"logits":[[2,1,0.1],[0,3,0]],"labels":[0,1]})",
      R"({"logits":{"dataType":"DATA_TYPE_FLOAT64","values":[[2,1],[1,2]]},)"
      R"("labels":[[0.5,1],[1,0]],"loss":{"sigmoidCrossEntropy":{}}})",
      R"({"loss":{"softmaxCrossEntropy":{"labelSmoothing":0.1}},"labels":)"
      R"({"shape":[1],"int64Values":{"values":[1]}},"logits":{"shape":[1,2],)"
      R"("floatValues":{"values":[1,-1]}},"outputs":["OUTPUT_LOSS"]})"};
  return bodies;
}

class Mutator {
 public:
  // A body that is broken for certain, whatever was drawn.
  std::string Next() {
    std::string body = Bodies()[Draw(Bodies().size())];
    const std::vector<std::function<void(std::string&)>> kinds = {
        // Cut off, anywhere before its end.
        [&](std::string& b) { b.resize(Draw(b.size())); },
        // A byte that JSON has nowhere, not even in a text.
        [&](std::string& b) {
          b.insert(Draw(b.size()), 1, static_cast<char>(1 + Draw(8)));
        },
        [&](std::string& b) { b.insert(Draw(b.size()), 1, '\xff'); },
        // Something after the end.
        [&](std::string& b) { b += "}],x1\""[Draw(6)]; },
        // A field that nobody knows, anywhere in an object.
        [&](std::string& b) { AfterA('{', "\"unknown\":1,", b); },
        // A number that is none, in any list.
        [&](std::string& b) { AfterA('[', "{\"a\":1},", b); },
        [&](std::string& b) { AfterA('[', "0x1,", b); },
        [&](std::string& b) { AfterA('[', "1e,", b); },
        [&](std::string& b) { AfterA('[', "01,", b); },
        // As deep as it gets.
        [&](std::string& b) {
          AfterA('[', std::string(1 + Draw(1000), '[') + ",", b);
        },
        // One bracket too few.
        [&](std::string& b) { Drop("{}[]", b); },
        // No quote, no colon.
        [&](std::string& b) { Drop("\":", b); },
        // The same field once more.
        [&](std::string& b) { b.replace(b.size() - 1, 1, ",\"labels\":[0]}"); },
        // A list that is one longer or shorter than the others.
        [&](std::string& b) { AfterA('[', "1,2,3,4,5,[1],", b); },
        // Another type.
        [&](std::string& b) { b = "[" + b + "]"; },
        [&](std::string& b) { b = "\"" + std::to_string(Draw(1000)) + "\""; }};
    kinds[Draw(kinds.size())](body);
    return body;
  }

 private:
  size_t Draw(size_t below) { return random_() % below; }

  std::vector<size_t> PlacesOf(const std::string& any, const std::string& b) {
    std::vector<size_t> places;
    for (size_t at = b.find_first_of(any); at != b.npos;
         at = b.find_first_of(any, at + 1)) {
      places.push_back(at);
    }
    return places;
  }
  void AfterA(char c, const std::string& text, std::string& b) {
    const auto places = PlacesOf(std::string(1, c), b);
    b.insert(places[Draw(places.size())] + 1, text);
  }
  void Drop(const std::string& any, std::string& b) {
    const auto places = PlacesOf(any, b);
    b.erase(places[Draw(places.size())], 1);
  }

  std::mt19937_64 random_{20261127};
};

TEST(MutationTest, AThousandBrokenBodiesAreRefusedWithAReason) {
  HttpCaller caller;
  for (const std::string& body : Bodies()) {
    EXPECT_EQ(caller.Compute(body).status, 200) << body;
  }
  Mutator mutator;
  for (int i = 0; i < kBodies; ++i) {
    const std::string body = mutator.Next();
    const HttpAnswer answer = caller.Compute(body);
    ASSERT_EQ(answer.status, 400) << i << ": " << body << "\n" << answer.body;
    EXPECT_EQ(answer.body["code"], 3) << body;
    EXPECT_NE(answer.message(), "") << body;
    EXPECT_NE(answer.reason(), "") << body;
  }
  for (const std::string& body : Bodies()) {
    EXPECT_EQ(caller.Compute(body).status, 200) << body;
  }
}

}  // namespace
}  // namespace lossd::http
