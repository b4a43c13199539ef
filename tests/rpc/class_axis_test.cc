#include "server/rpc/class_axis.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <tuple>
#include <vector>

namespace lossd::rpc {
namespace {

ClassAxisLayout LayoutOf(const std::vector<int64_t>& shape, int64_t axis) {
  return LayoutAround(shape, axis);
}

TEST(ClassAxisTest, TakesTheAxesAroundItAsOneEach) {
  const ClassAxisLayout layout = LayoutOf({2, 3, 5, 7, 11}, 2);
  EXPECT_EQ(layout.outer, 6);
  EXPECT_EQ(layout.classes, 5);
  EXPECT_EQ(layout.inner, 77);
  EXPECT_FALSE(layout.classes_last());
  EXPECT_EQ(LayoutOf({2, 3}, 0).inner, 3);
}

TEST(ClassAxisTest, IsLastWhereNothingNeedsToMove) {
  EXPECT_TRUE(LayoutOf({3}, 0).classes_last());
  EXPECT_TRUE(LayoutOf({2, 3}, 1).classes_last());
  EXPECT_TRUE(LayoutOf({2, 3, 1, 1}, 1).classes_last());
  EXPECT_TRUE(LayoutOf({2, 1, 5}, 1).classes_last());
  EXPECT_FALSE(LayoutOf({1, 2, 2}, 1).classes_last());
}

// Beside an axis of length 0 the others' product may leave an int64.
TEST(ClassAxisTest, HasNothingToMoveWithoutRows) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{0, 3, kHuge, kHuge}, {kHuge, 3, kHuge, 0}}) {
    const ClassAxisLayout layout = LayoutOf(shape, 1);
    EXPECT_TRUE(layout.classes_last());
    EXPECT_EQ(layout.outer, 0);
    EXPECT_EQ(layout.classes, 3);
    MoveClassesLast(layout, 4, nullptr, nullptr);
  }
}

// Element bytes, outer, classes, inner, and how far `in` and `out` are from an
// aligned address.
using Case = std::tuple<int64_t, int64_t, int64_t, int64_t, int>;

class MoveClassesTest : public testing::TestWithParam<Case> {};

// Lengths on both sides of the tiles' 64, 32 and 16 elements.
TEST_P(MoveClassesTest, MovesEachElementToItsPlaceAndBack) {
  const auto [bytes, outer, classes, inner, offset] = GetParam();
  const ClassAxisLayout layout = {outer, classes, inner};
  const size_t size = outer * classes * inner * bytes;
  std::string in(offset + size, '\0');
  uint32_t noise = 1;
  for (char& c : in) {
    c = static_cast<char>((noise = noise * 1664525 + 1013904223) >> 24);
  }
  std::string want(size, '\0');
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t c = 0; c < classes; ++c) {
      for (int64_t i = 0; i < inner; ++i) {
        want.replace(((o * inner + i) * classes + c) * bytes, bytes, in,
                     offset + ((o * classes + c) * inner + i) * bytes, bytes);
      }
    }
  }
  const auto at = [](std::string& text, size_t i) {
    return reinterpret_cast<std::byte*>(text.data()) + i;
  };
  constexpr char kGuard = '\x5a';
  std::string out(offset + size + 1, kGuard);
  MoveClassesLast(layout, bytes, at(in, offset), at(out, offset));
  EXPECT_TRUE(out == std::string(offset, kGuard) + want + kGuard);
  std::string back(size + 1, kGuard);
  MoveClassesBack(layout, bytes, at(out, offset), at(back, 0));
  EXPECT_TRUE(back == in.substr(offset) + kGuard);
}

INSTANTIATE_TEST_SUITE_P(Sizes, MoveClassesTest,
                         testing::Combine(testing::Values(2, 4, 8),
                                          testing::Values(1, 3),
                                          testing::Values(1, 2, 15, 33, 130),
                                          testing::Values(1, 3, 16, 63, 64, 65),
                                          testing::Values(0, 1)));

}  // namespace
}  // namespace lossd::rpc
