// lossctl with classes on any axis and gradients of either type, against a
// server that computes.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/lossctl/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProcessResult;

using Arguments = std::vector<std::string>;

// Axes of different lengths: none can be taken for another.
const Shape kShape = {2, 3, 4};

std::vector<double> Elements() {
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(i * 7 % 24 * 0.37 - 4.0);
  return values;
}

// From `shape` to the same with `axis` last.
std::vector<double> AxisLast(const std::vector<double>& values,
                             const Shape& shape, size_t axis) {
  size_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const size_t length = shape[axis];
  std::vector<double> moved(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t row = i / (inner * length) * inner + i % inner;
    moved[row * length + i / inner % length] = values[i];
  }
  return moved;
}

// Class indices, a different one from row to row.
std::vector<int64_t> Labels(size_t rows, size_t classes) {
  std::vector<int64_t> labels;
  for (size_t row = 0; row < rows; ++row) {
    labels.push_back(static_cast<int64_t>(row * 5 % classes));
  }
  return labels;
}

std::vector<double> Weights(size_t rows) {
  std::vector<double> weights;
  for (size_t row = 0; row < rows; ++row) weights.push_back(1.0 + 0.5 * row);
  return weights;
}

class LossctlLayoutTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }
  template <typename T>
  void Write(const std::string& name, const std::vector<T>& values,
             const Shape& shape) {
    directory_.Write(name, NpyBytes(values, shape));
  }
  template <typename T>
  std::vector<T> Values(const std::string& name, const Shape& shape) {
    const auto array = ReadNpy(Path(name));
    EXPECT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->shape, shape) << name;
    return std::get<std::vector<T>>(array->values);
  }

  // A command on the files z.npy and y.npy.
  ProcessResult Run(const std::string& command, const Arguments& more) {
    Arguments arguments = {LOSSCTL_BINARY,   command,      "--target",
                           server_.target(), "--logits",   Path("z.npy"),
                           "--labels",       Path("y.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }
  std::string BadUsage(const Arguments& more) {
    const ProcessResult result = Run("compute", more);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(more);
    EXPECT_EQ(result.out, "");
    return result.err;
  }
  // Every output of z.npy, y.npy and w.npy, in files that begin with `prefix`.
  void ComputeAll(const std::string& prefix, const Arguments& more) {
    Arguments flags = {
        "--row-weights",        Path("w.npy"),          "--gradient-out",
        Path(prefix + "g.npy"), "--row-losses-out",     Path(prefix + "l.npy"),
        "--log-sum-exp-out",    Path(prefix + "s.npy"), "--probabilities-out",
        Path(prefix + "p.npy"), "--predictions-out",    Path(prefix + "c.npy")};
    flags.insert(flags.end(), more.begin(), more.end());
    const ProcessResult result = Run("compute", flags);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  // The batch with its classes on `axis` of kShape, or moved to the last one.
  void WriteBatch(size_t axis, bool moved) {
    const size_t classes = kShape[axis];
    const size_t rows = 24 / classes;
    const Shape rows_shape = moved ? Shape{rows} : RowsShape(axis);
    Write("z.npy", moved ? AxisLast(Elements(), kShape, axis) : Elements(),
          moved ? Shape{rows, classes} : kShape);
    Write("y.npy", Labels(rows, classes), rows_shape);
    Write("w.npy", Weights(rows), rows_shape);
  }
  static Shape RowsShape(size_t axis) {
    Shape shape = kShape;
    shape.erase(shape.begin() + static_cast<int64_t>(axis));
    return shape;
  }

  testing::TestDirectory directory_;
  testing::ServerProcess server_{LOSSD_BINARY};
};

TEST_F(LossctlLayoutTest, GivesAnyAxisWhatItGivesTheLast) {
  for (size_t axis = 0; axis < 3; ++axis) {
    const Shape rows = RowsShape(axis);
    const Shape flat = {24 / kShape[axis]};
    const Shape matrix = {flat[0], kShape[axis]};
    WriteBatch(axis, true);
    ComputeAll("last_", {});
    WriteBatch(axis, false);
    const auto positive = static_cast<int>(axis);
    for (const int spelt : {positive, positive - 3}) {
      ComputeAll("", {"--class-axis", std::to_string(spelt)});
      for (const char* name : {"g.npy", "p.npy"}) {
        EXPECT_EQ(AxisLast(Values<double>(name, kShape), kShape, axis),
                  Values<double>(std::string("last_") + name, matrix))
            << name << " of axis " << spelt;
      }
      for (const char* name : {"l.npy", "s.npy"}) {
        EXPECT_EQ(Values<double>(name, rows),
                  Values<double>(std::string("last_") + name, flat));
      }
      EXPECT_EQ(Values<int64_t>("c.npy", rows),
                Values<int64_t>("last_c.npy", flat));
    }
  }
}

TEST_F(LossctlLayoutTest, TakesTargetsOnAnyAxis) {
  Write("z.npy", Elements(), kShape);
  Write("y.npy", Elements(), kShape);
  for (const char* axis : {"0", "1", "2"}) {
    const ProcessResult result =
        Run("compute", {"--loss", "squared_error", "--json", "--class-axis",
                        axis, "--gradient-out", Path("g.npy")});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(result.out)["loss"], 0.0);
    EXPECT_THAT(Values<double>("g.npy", kShape), ::testing::Each(0.0));
  }
}

TEST_F(LossctlLayoutTest, MultipliesTheHessianOnAnyAxis) {
  for (size_t axis = 0; axis < 3; ++axis) {
    WriteBatch(axis, true);
    std::vector<double> vector = Elements();
    for (double& v : vector) v = v * v;
    const Shape matrix = {24 / kShape[axis], kShape[axis]};
    Write("v.npy", AxisLast(vector, kShape, axis), matrix);
    ASSERT_EQ(Run("hvp", {"--vector", Path("v.npy"), "--product-out",
                          Path("last_h.npy")})
                  .exit_code,
              0);
    WriteBatch(axis, false);
    Write("v.npy", vector, kShape);
    const ProcessResult result =
        Run("hvp", {"--vector", Path("v.npy"), "--product-out", Path("h.npy"),
                    "--class-axis", std::to_string(axis)});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(AxisLast(Values<double>("h.npy", kShape), kShape, axis),
              Values<double>("last_h.npy", matrix));
  }
}

TEST_F(LossctlLayoutTest, TakesNoRowsOnAnyAxis) {
  Write("z.npy", std::vector<double>{}, {0, 3, 4});
  Write("y.npy", std::vector<int64_t>{}, {0, 4});
  ASSERT_EQ(
      Run("compute", {"--class-axis", "1", "--gradient-out", Path("g.npy")})
          .exit_code,
      0);
  EXPECT_THAT(Values<double>("g.npy", {0, 3, 4}), ::testing::IsEmpty());
  Write("z.npy", std::vector<double>{}, {2, 3, 0});
  Write("y.npy", std::vector<int64_t>{}, {2, 0});
  ASSERT_EQ(
      Run("compute", {"--class-axis", "1", "--row-losses-out", Path("l.npy")})
          .exit_code,
      0);
  EXPECT_THAT(Values<double>("l.npy", {2, 0}), ::testing::IsEmpty());
}

TEST_F(LossctlLayoutTest, RefusesAnAxisThatTheLogitsDoNotHave) {
  WriteBatch(2, false);
  for (const char* axis : {"3", "-4"}) {
    EXPECT_EQ(BadUsage({"--class-axis", axis}),
              std::string("lossctl: --class-axis = ") + axis +
                  ", want [-3, 3), an axis of " + Path("z.npy") +
                  " of shape (2, 3, 4)\n");
  }
  EXPECT_THAT(BadUsage({"--class-axis", "last"}), HasSubstr("--class-axis"));
}

TEST_F(LossctlLayoutTest, RefusesLogitsWithoutAClassAxisOrWithoutClasses) {
  Write("y.npy", std::vector<int64_t>{}, {0});
  Write("z.npy", std::vector<double>{1}, {});
  EXPECT_THAT(BadUsage({}), HasSubstr("shape (), want at least a class axis"));
  Write("z.npy", std::vector<double>{}, {2, 0});
  EXPECT_THAT(BadUsage({}), HasSubstr("want at least one class on axis 1"));
  // The same file has classes, and no rows, the other way round.
  EXPECT_EQ(Run("compute", {"--class-axis", "0"}).exit_code, 0);
}

TEST_F(LossctlLayoutTest, WantsLabelsWithoutTheClassAxis) {
  WriteBatch(2, false);
  EXPECT_THAT(BadUsage({"--class-axis", "1"}),
              HasSubstr("labels of shape (2, 3), want (2, 4), the shape (2, 3, "
                        "4) of " +
                        Path("z.npy") + " without its class axis"));
}

// Each is the gradient of ln 3 and equal logits, to its own type.
TEST_F(LossctlLayoutTest, WritesTheGradientInTheTypeAskedFor) {
  const Shape matrix = {1, 3};
  Write("y.npy", std::vector<int64_t>{0}, {1});
  const double third = 1.0 / 3;
  for (const bool is_float : {true, false}) {
    if (is_float) {
      Write("z.npy", std::vector<float>(3), matrix);
    } else {
      Write("z.npy", std::vector<double>(3), matrix);
    }
    const auto gradient = [&](const Arguments& more) {
      Arguments flags = {"--gradient-out", Path("g.npy"), "--probabilities-out",
                         Path("p.npy")};
      flags.insert(flags.end(), more.begin(), more.end());
      const ProcessResult result = Run("compute", flags);
      EXPECT_EQ(result.exit_code, 0) << result.err;
    };
    gradient({"--gradient-data-type", "float32"});
    EXPECT_THAT(Values<float>("g.npy", matrix),
                ElementsAre(-2.0f / 3, 1.0f / 3, 1.0f / 3));
    gradient({"--gradient-data-type", "float64"});
    EXPECT_THAT(Values<double>("g.npy", matrix),
                ElementsAre(-2.0 / 3, third, third));
    // Everything else keeps the logits' type.
    if (is_float) {
      EXPECT_EQ(Values<float>("p.npy", matrix)[0], 1.0f / 3);
    } else {
      EXPECT_EQ(Values<double>("p.npy", matrix)[0], third);
    }
    gradient({});
    EXPECT_EQ(ReadNpy(Path("g.npy"))->values.index(), is_float ? 0u : 1u);
  }
}

TEST_F(LossctlLayoutTest, RefusesAGradientTypeItDoesNotHave) {
  WriteBatch(2, false);
  EXPECT_THAT(BadUsage({"--gradient-out", Path("g.npy"), "--gradient-data-type",
                        "float16"}),
              HasSubstr("float16 not in {float32,float64}"));
  EXPECT_THAT(BadUsage({"--gradient-data-type", "float32"}),
              HasSubstr("--gradient-data-type requires --gradient-out"));
}

class LossctlCheckLayoutTest : public ::testing::Test {
 protected:
  ProcessResult Check(const Arguments& more) {
    Arguments arguments = {LOSSCTL_BINARY, "check-gradient",
                           "--target",     server_.target(),
                           "--rows",       "3",
                           "--classes",    "5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }

  testing::ServerProcess server_{LOSSD_BINARY};
};

TEST_F(LossctlCheckLayoutTest, PassesOnEitherAxisAndInEitherType) {
  for (const Arguments& loss :
       std::vector<Arguments>{{}, {"--float-targets"}, {"--loss", "huber"}}) {
    for (const char* axis : {"-2", "-1", "0", "1"}) {
      for (const char* type : {"float32", "float64"}) {
        Arguments flags = {"--class-axis",         axis,
                           "--gradient-data-type", type,
                           "--row-weights",        "1,2,0.5"};
        flags.insert(flags.end(), loss.begin(), loss.end());
        const ProcessResult result = Check(flags);
        EXPECT_EQ(result.exit_code, 0)
            << ::testing::PrintToString(flags) << result.out << result.err;
        EXPECT_THAT(result.out, HasSubstr(std::string(type) + ", seed 1"));
      }
    }
  }
}

TEST_F(LossctlCheckLayoutTest, SeesThatAFloat32GradientIsRounded) {
  const auto error = [&](const char* type) {
    const auto json = nlohmann::json::parse(
        Check({"--json", "--gradient-data-type", type}).out);
    EXPECT_EQ(json["gradient_data_type"], type);
    return json["worst_absolute_error"].get<double>();
  };
  EXPECT_GT(error("float32"), 5 * error("float64"));
}

TEST_F(LossctlCheckLayoutTest, RefusesAnAxisPastTheTwo) {
  for (const char* axis : {"2", "-3"}) {
    const ProcessResult result = Check({"--class-axis", axis});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err, std::string("lossctl: --class-axis = ") + axis +
                              ", want [-2, 2)\n");
  }
}

}  // namespace
}  // namespace lossd::lossctl
