// What all gRPC models have in common.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_BUILDER_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_BUILDER_H_

#include <grpcpp/server_builder.h>

#include "tests/bench/server_model/model.h"

namespace lossd::bench {

// Makes `builder` listen on 127.0.0.1 with any message size; the port lands in
// `port` at BuildAndStart.
void ConfigureBuilder(const ModelConfig& config, grpc::ServerBuilder& builder,
                      int& port);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_BUILDER_H_
