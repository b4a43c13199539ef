#include "client/lossctl/npy.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class NpyTest : public ::testing::Test {
 protected:
  absl::StatusOr<NpyArray> Read(const std::string& bytes) {
    directory_.Write("a.npy", bytes);
    return ReadNpy(path());
  }
  std::string Message(const std::string& bytes) {
    const absl::Status status = Read(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith(path() + ": "));
    return std::string(status.message());
  }
  std::string path() const { return directory_.Path("a.npy"); }

  testing::TestDirectory directory_;
};

std::string File(const std::string& header, const std::string& data,
                 int version = 1) {
  std::string file = "\x93NUMPY";
  file.push_back(static_cast<char>(version));
  file.push_back('\0');
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    file.push_back(static_cast<char>(header.size() >> (8 * i)));
  }
  return file + header + data;
}

std::string Header(const std::string& dtype, const std::string& order,
                   const std::string& shape) {
  return "{'descr': '" + dtype + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

TEST_F(NpyTest, ReadsBackWhatItWrites) {
  const std::vector<double> values = {1.5, -2, 3e300, 4, 5, 6};
  const auto array = Read(NpyBytes(values, {3, 2}));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(array->shape, ElementsAre(3, 2));
  EXPECT_EQ(std::get<std::vector<double>>(array->values), values);
}

TEST_F(NpyTest, ReadsBackAScalarAndAnEmptyArray) {
  const auto scalar = Read(NpyBytes(std::vector<int64_t>{-7}, {}));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_TRUE(scalar->shape.empty());
  EXPECT_THAT(std::get<std::vector<int64_t>>(scalar->values), ElementsAre(-7));
  const auto empty = Read(NpyBytes(std::vector<float>{}, {0, 3}));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->shape, ElementsAre(0, 3));
}

TEST_F(NpyTest, ReadsFortranOrderAsRows) {
  const auto array = Read(File(Header("<i4", "True", "(2, 3)"),
                               Bytes<int32_t>({1, 4, 2, 5, 3, 6})));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(array->shape, ElementsAre(2, 3));
  EXPECT_THAT(std::get<std::vector<int32_t>>(array->values),
              ElementsAre(1, 2, 3, 4, 5, 6));
}

// A length byte over 127 is where xnpy's own reader goes wrong.
TEST_F(NpyTest, ReadsLongHeadersOfBothVersions) {
  std::string header = Header("<f4", "False", "(1,)");
  header.insert(header.size() - 1, 200 - header.size(), ' ');
  for (const int version : {1, 2}) {
    const auto array = Read(File(header, Bytes<float>({2.5}), version));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_THAT(std::get<std::vector<float>>(array->values), ElementsAre(2.5));
  }
}

TEST_F(NpyTest, RefusesOtherTypes) {
  for (const char* dtype : {"<f2", ">f4", "<u4", "|b1", "<c8", "<i2"}) {
    EXPECT_THAT(Message(File(Header(dtype, "False", "(1,)"), "12345678")),
                HasSubstr(std::string("dtype ") + dtype + ", want <f4"));
  }
}

TEST_F(NpyTest, RefusesMoreOrLessDataThanTheHeaderSays) {
  const std::string header = Header("<f4", "False", "(2, 2)");
  EXPECT_TRUE(Read(File(header, std::string(16, 'x'))).ok());
  EXPECT_THAT(Message(File(header, std::string(15, 'x'))),
              HasSubstr("shape (2, 2) of 4-byte elements does not fit the 15"));
  EXPECT_THAT(Message(File(header, std::string(17, 'x'))), HasSubstr("17"));
}

TEST_F(NpyTest, RefusesShapesThatOverflow) {
  for (const char* shape :
       {"(4294967296, 4294967296)", "(4611686018427387904, 4)", "(-1,)",
        "(18446744073709551616,)", "(2, 9223372036854775808)"}) {
    EXPECT_THAT(Message(File(Header("<f8", "False", shape), "")),
                HasSubstr("does not fit the 0 bytes"))
        << shape;
  }
}

TEST_F(NpyTest, RefusesEveryTruncationOfAFile) {
  const std::string file = NpyBytes(std::vector<float>{1, 2, 3}, {3});
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(Read(file.substr(0, size)).ok()) << size;
  }
}

TEST_F(NpyTest, RefusesHeadersThatAreNone) {
  for (const char* header :
       {"\n", "{}\n", "{", "}{\n", "{'descr':'<f4'}\n",
        "{'descr':'<f4','fortran_order':False,'shape'}\n",
        "{'descr':'<f4','fortran_order':Maybe,'shape':()}\n",
        "{'descr':,'fortran_order':False,'shape':()}\n",
        "{'descr':[('a','<f4')],'fortran_order':False,'shape':(1,)}\n"}) {
    EXPECT_FALSE(Message(File(header, "1234")).empty());
  }
  EXPECT_THAT(Message("hello, this is text"), HasSubstr("no .npy file"));
  EXPECT_THAT(Message(File("", "", 3)), HasSubstr(".npy format 3"));
}

// One-hot targets are float64 in NumPy, whatever the logits are.
TEST(FloatsOfTest, ConvertsWhatTheTypeHoldsExactly) {
  const NpyArray wide = {{3}, std::vector<double>{0, 0.5, NAN}};
  const auto narrow = FloatsOf<float>("t.npy", wide);
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  EXPECT_EQ((*narrow)[1], 0.5f);
  EXPECT_TRUE(std::isnan((*narrow)[2]));
  EXPECT_EQ(FloatsOf<double>("t.npy", {{1}, std::vector<float>{0.1f}})->at(0),
            double{0.1f});
}

TEST(FloatsOfTest, RefusesWhatWouldBeRounded) {
  const NpyArray wide = {{2}, std::vector<double>{1, 0.1}};
  const absl::Status status = FloatsOf<float>("t.npy", wide).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "t.npy: element 1 = 0.1 is no float32, which the logits are");
}

TEST(FloatsOfTest, RefusesIntegers) {
  const NpyArray integers = {{1}, std::vector<int32_t>{1}};
  EXPECT_EQ(FloatsOf<float>("t.npy", integers).status().message(),
            "t.npy: dtype int32, want float32 or float64");
}

TEST_F(NpyTest, NamesTheFileThatIsNotThere) {
  const absl::Status status = ReadNpy(directory_.Path("none.npy")).status();
  EXPECT_EQ(std::string(status.message()),
            directory_.Path("none.npy") + ": No such file or directory");
  EXPECT_THAT(std::string(ReadNpy(directory_.Path("")).status().message()),
              HasSubstr("is a directory"));
}

}  // namespace
}  // namespace lossd::lossctl
