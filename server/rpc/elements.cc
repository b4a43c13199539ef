#include "server/rpc/elements.h"

#include <cstddef>

#include "server/compute/element_type.h"
#include "server/rpc/tensor.h"

namespace lossd::rpc {

double FloatAt(v1::DataType data_type, std::string_view raw, int64_t i) {
  return compute::LoadElement(*FloatTypeFromProto(data_type),
                              reinterpret_cast<const std::byte*>(raw.data()),
                              i);
}

void AppendFloat(v1::DataType data_type, double value, std::string& raw) {
  const size_t begin = raw.size();
  raw.resize(begin + ElementBytes(data_type));
  compute::StoreElement(*FloatTypeFromProto(data_type), value,
                        reinterpret_cast<std::byte*>(raw.data() + begin), 0);
}

}  // namespace lossd::rpc
