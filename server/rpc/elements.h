// Elements of float tensors as numbers, and numbers as elements.
#ifndef LOSSD_SERVER_RPC_ELEMENTS_H_
#define LOSSD_SERVER_RPC_ELEMENTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::rpc {

// Element `i` of `raw`, exactly. REQUIRES: a float type; that many elements.
double FloatAt(v1::DataType data_type, std::string_view raw, int64_t i);

// Rounds `value` to `data_type`, once, to nearest, ties to even, and appends
// its bytes. REQUIRES: a float type.
void AppendFloat(v1::DataType data_type, double value, std::string& raw);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_ELEMENTS_H_
