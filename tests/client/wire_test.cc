// The client's own bytes against the generated code's, both ways.
#include "client/lossd/wire.h"

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/lossd/convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/buffers.h"
#include "tests/client/recorder.h"

namespace lossd {
namespace {

using testing::BufferOf;
using testing::BytesOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SetRaw;

using Response = v1::ComputeLossResponse;

class RequestBytesTest : public ::testing::Test {
 protected:
  const std::shared_ptr<RequestMemory> memory_ =
      std::make_shared<RequestMemory>();
};

TEST_F(RequestBytesTest, AreThoseOfTheGeneratedCode) {
  const std::vector<int64_t> labels = {0, 1};
  const std::vector<double> weights = {1, 0.5};
  for (const int64_t classes : {1, 2, 31, 32, 4096, 100'000}) {
    const std::vector<float> logits(2 * classes, 1.5f);
    const Batch<float> batch = {.rows = 2,
                                .classes = classes,
                                .logits = logits,
                                .labels = labels,
                                .row_weights = weights};
    v1::ComputeLossRequest request;
    ASSERT_TRUE(LossRequestToProto(batch, {.divisor = 3.0},
                                   LossOutputs<float>{}, {}, &request)
                    .ok());
    const auto bytes =
        LossRequestBytes(request, RawBytes(batch.logits), *memory_);
    SetRaw(request.mutable_logits(), v1::DATA_TYPE_FLOAT32, logits);
    EXPECT_EQ(BytesOf(bytes), request.SerializeAsString()) << classes;
  }
}

TEST_F(RequestBytesTest, OfAHessianProductAreThoseOfTheGeneratedCode) {
  const std::vector<int64_t> labels = {0};
  for (const int64_t classes : {1, 15, 16, 17, 50'000}) {
    const std::vector<double> logits(classes, 2.5), vector(classes, -1.0);
    std::vector<double> product(classes);
    const Batch<double> batch = {
        .rows = 1, .classes = classes, .logits = logits, .labels = labels};
    v1::ComputeHessianVectorProductRequest request;
    ASSERT_TRUE(
        HessianRequestToProto<double>(batch, {}, vector, product, &request)
            .ok());
    const auto bytes =
        HessianRequestBytes(request, RawBytes(batch.logits),
                            RawBytes(absl::MakeConstSpan(vector)), *memory_);
    SetRaw(request.mutable_base()->mutable_logits(), v1::DATA_TYPE_FLOAT64,
           logits);
    SetRaw(request.mutable_vector(), v1::DATA_TYPE_FLOAT64, vector);
    EXPECT_EQ(BytesOf(bytes), request.SerializeAsString()) << classes;
  }
}

TEST_F(RequestBytesTest, OfNoRowsParse) {
  const Batch<float> none = {.rows = 0, .classes = 3};
  v1::ComputeLossRequest request;
  ASSERT_TRUE(
      LossRequestToProto(none, {}, LossOutputs<float>{}, {}, &request).ok());
  v1::ComputeLossRequest parsed;
  ASSERT_TRUE(
      parsed.ParseFromString(BytesOf(LossRequestBytes(request, "", *memory_))));
  EXPECT_TRUE(parsed.logits().has_raw());
  EXPECT_THAT(parsed.logits().shape(), ElementsAre(0, 3));
}

// An answer with two tensors, a gradient of three and row losses of two, and
// where they are to go.
class ReadAnswerTest : public ::testing::Test {
 protected:
  ReadAnswerTest() {
    response_.set_loss(0.5);
    response_.set_row_count(2);
    SetRaw<float>(response_.mutable_row_losses(), v1::DATA_TYPE_FLOAT32,
                  {7, 8});
    SetRaw<float>(response_.mutable_gradient(), v1::DATA_TYPE_FLOAT32,
                  {1, 2, 3});
    response_.mutable_gradient()->add_shape(3);
  }

  absl::Status Read(const grpc::ByteBuffer& buffer) {
    return ReadAnswer(buffer,
                      {FieldFor("gradient", Response::kGradientFieldNumber,
                                absl::MakeSpan(gradient_)),
                       FieldFor("row_losses", Response::kRowLossesFieldNumber,
                                absl::MakeSpan(row_losses_))},
                      &rest_);
  }
  absl::Status Read(const std::string& bytes) {
    return Read(BufferOf(bytes, bytes.size() + 1));
  }

  Response response_;
  Response rest_;
  std::vector<float> gradient_ = std::vector<float>(3);
  std::vector<float> row_losses_ = std::vector<float>(2);
};

TEST_F(ReadAnswerTest, ReadsSlicesOfAnyLength) {
  const std::string bytes = response_.SerializeAsString();
  for (size_t length = 1; length <= bytes.size(); ++length) {
    gradient_.assign(3, 0);
    row_losses_.assign(2, 0);
    ASSERT_TRUE(Read(BufferOf(bytes, length)).ok()) << length;
    EXPECT_THAT(gradient_, ElementsAre(1, 2, 3));
    EXPECT_THAT(row_losses_, ElementsAre(7, 8));
    EXPECT_EQ(rest_.loss(), 0.5);
    EXPECT_EQ(rest_.row_count(), 2);
    EXPECT_FALSE(rest_.has_gradient());
  }
}

TEST_F(ReadAnswerTest, LeavesTensorsThatWereNotAskedForToTheRest) {
  SetRaw<float>(response_.mutable_probabilities(), v1::DATA_TYPE_FLOAT32, {4});
  ASSERT_TRUE(Read(response_.SerializeAsString()).ok());
  EXPECT_EQ(rest_.probabilities().raw().size(), 4u);
  row_losses_.clear();
  ASSERT_TRUE(Read(response_.SerializeAsString()).ok());
  EXPECT_EQ(rest_.row_losses().raw().size(), 8u);
}

// The order of fields is the sender's own affair; later ones win.
TEST_F(ReadAnswerTest, ReadsFieldsInAnyOrder) {
  Response type_last;
  type_last.mutable_gradient()->set_data_type(v1::DATA_TYPE_FLOAT32);
  Response raw_first;
  SetRaw<float>(raw_first.mutable_gradient(), v1::DATA_TYPE_FLOAT64, {4, 5, 6});
  ASSERT_TRUE(Read(response_.SerializeAsString() +
                   raw_first.SerializeAsString() +
                   type_last.SerializeAsString())
                  .ok());
  EXPECT_THAT(gradient_, ElementsAre(4, 5, 6));
}

TEST_F(ReadAnswerTest, RefusesATensorThatIsAbsentOrOfAnotherKind) {
  const auto message = [this] {
    const absl::Status status = Read(response_.SerializeAsString());
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    return std::string(status.message());
  };
  auto* gradient = response_.mutable_gradient();
  gradient->set_data_type(v1::DATA_TYPE_INT64);
  EXPECT_EQ(message(),
            "the server answered gradient with 12 bytes of DATA_TYPE_INT64, "
            "want 12 of DATA_TYPE_FLOAT32");
  gradient->mutable_float_values()->add_values(1);
  EXPECT_THAT(message(), HasSubstr("gradient with 0 bytes"));
  response_.clear_gradient();
  EXPECT_THAT(message(), HasSubstr("0 bytes of DATA_TYPE_UNSPECIFIED"));
}

TEST_F(ReadAnswerTest, RefusesEveryAnswerThatWasCutShort) {
  const std::string bytes = response_.SerializeAsString();
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(Read(bytes.substr(0, length)).code(), absl::StatusCode::kInternal)
        << length;
  }
  EXPECT_EQ(Read(grpc::ByteBuffer()).code(), absl::StatusCode::kInternal);
}

// Whatever arrives: what the generated code refuses is refused, and what is
// taken is what the generated code reads.
TEST_F(ReadAnswerTest, AgreesWithTheGeneratedCodeOnBrokenAnswers) {
  const std::string whole = response_.SerializeAsString();
  std::mt19937 random(11);
  int taken = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = whole;
    for (unsigned n = random() % 3 + 1; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bytes += whole.substr(random() % whole.size());
    const bool ok = Read(bytes).ok();
    Response parsed;
    const bool parses = parsed.ParseFromString(bytes);
    ASSERT_TRUE(parses || !ok) << i;
    if (!ok) continue;
    ++taken;
    EXPECT_EQ(parsed.gradient().raw(), RawBytes(absl::MakeConstSpan(gradient_)))
        << i;
    EXPECT_EQ(parsed.row_losses().raw(),
              RawBytes(absl::MakeConstSpan(row_losses_)))
        << i;
    EXPECT_EQ(parsed.row_count(), rest_.row_count()) << i;
  }
  EXPECT_GT(taken, 1000);
}

TEST(RequestMemoryTest, GivesWhatIsFreeOutAgain) {
  const auto memory = std::make_shared<RequestMemory>();
  const std::string large(200'000, 'x');
  const auto join = [&] { return memory->Join({large, "y"}); };
  auto first = std::make_unique<grpc::Slice>(join());
  const uint8_t* const place = first->begin();
  EXPECT_EQ(first->size(), large.size() + 1);
  EXPECT_EQ(*(first->end() - 1), 'y');
  // In use: another place.
  EXPECT_NE(join().begin(), place);
  first.reset();
  const grpc::Slice second = join(), third = join();
  EXPECT_TRUE(second.begin() == place || third.begin() == place);
}

TEST(RequestMemoryTest, KeepsSlicesAliveAfterItself) {
  auto memory = std::make_shared<RequestMemory>();
  const grpc::Slice slice = memory->Join({std::string(100'000, 'x')});
  memory.reset();
  EXPECT_EQ(std::string(slice.begin(), slice.end()), std::string(100'000, 'x'));
}

// What is too large to keep is new each time; the bound itself is kept.
TEST(RequestMemoryTest, KeepsUpToItsBound) {
  const auto memory = std::make_shared<RequestMemory>();
  // Where a request of that many bytes was, already given back.
  const auto place = [&](size_t bytes) {
    const grpc::Slice slice = memory->Join({std::string(bytes, 'x')});
    return reinterpret_cast<uintptr_t>(slice.begin());
  };
  constexpr size_t kBound = RequestMemory::kMaxKeptBytes;
  const uintptr_t kept = place(kBound);
  EXPECT_EQ(place(kBound), kept);
  // The older one goes where both are more.
  const uintptr_t newer = place(kBound / 4);
  EXPECT_EQ(place(kBound / 4), newer);
}

}  // namespace
}  // namespace lossd
