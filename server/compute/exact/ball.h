// Arithmetic of real numbers known to a radius, in as many bits as asked for.
// Source: F. Johansson, IEEE Trans. Comp. 66 (2017), on ball arithmetic.
#ifndef LOSSD_SERVER_COMPUTE_EXACT_BALL_H_
#define LOSSD_SERVER_COMPUTE_EXACT_BALL_H_

#include <cstdint>

#include "server/compute/exact/big_float.h"

namespace lossd::compute {

// A real number within `radius` of `middle`. The functions below return balls
// that hold every result of numbers in their arguments' balls.
struct Ball {
  BigFloat middle;
  BigFloat radius;
};

Ball Exactly(BigFloat value);

// `exact`, known to `radius`, in `bits`; or known to a relative error of
// 2^-bits beside that.
Ball Shortened(const BigFloat& exact, const BigFloat& radius, int64_t bits);

Ball Add(const Ball& a, const Ball& b, int64_t bits);
Ball Multiply(const Ball& a, const Ball& b, int64_t bits);
// REQUIRES: the radius of b is below half its size.
Ball Divide(const Ball& a, const Ball& b, int64_t bits);

// 1 or -1 where all of the ball's numbers have that sign; else 0.
int SignOf(const Ball& ball);

// Upper bounds of a + b and |a b|, in few bits, for radii.
BigFloat SumOfRadii(const BigFloat& a, const BigFloat& b);
BigFloat ProductOfSizes(const BigFloat& a, const BigFloat& b);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_BALL_H_
