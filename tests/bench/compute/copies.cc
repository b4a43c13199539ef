// What the machine allows: a copy of the logits, by memcpy and by stores that
// go past the caches (the least memory traffic: no line is read to be
// overwritten).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/compute/thread_pool.h"
#include "tests/bench/compute/bench_compute.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lossd::bench {
namespace {

using CopyFunction = void (*)(float* to, const float* from, int64_t size);

void CopyCached(float* to, const float* from, int64_t size) {
  std::memcpy(to, from, size * sizeof(float));
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void StreamAvx512(float* to,
                                                     const float* from,
                                                     int64_t size) {
  int64_t i = 0;
  for (; i < size && reinterpret_cast<uintptr_t>(to + i) % 64 != 0; ++i) {
    to[i] = from[i];
  }
  for (; i + 16 <= size; i += 16) {
    _mm512_stream_ps(to + i, _mm512_loadu_ps(from + i));
  }
  for (; i < size; ++i) to[i] = from[i];
  _mm_sfence();
}

__attribute__((target("avx2"))) void StreamAvx2(float* to, const float* from,
                                                int64_t size) {
  int64_t i = 0;
  for (; i < size && reinterpret_cast<uintptr_t>(to + i) % 32 != 0; ++i) {
    to[i] = from[i];
  }
  for (; i + 8 <= size; i += 8) {
    _mm256_stream_ps(to + i, _mm256_loadu_ps(from + i));
  }
  for (; i < size; ++i) to[i] = from[i];
  _mm_sfence();
}

CopyFunction StreamingCopy() {
  if (__builtin_cpu_supports("avx512f")) return StreamAvx512;
  if (__builtin_cpu_supports("avx2")) return StreamAvx2;
  return CopyCached;
}
#else
CopyFunction StreamingCopy() { return CopyCached; }
#endif

void RunCopy(benchmark::State& state, const Shape& shape, int threads,
             CopyFunction copy) {
  const std::vector<float> from = RandomLogits(shape);
  std::vector<float> to(from.size(), 1.0f);
  compute::ThreadPool pool(threads);
  const int64_t size = static_cast<int64_t>(from.size());
  const int64_t part = (size + threads - 1) / threads;
  WallTimer timer;
  for (auto _ : state) {
    pool.ForEachBlock(threads, [&](int64_t block) {
      const int64_t begin = std::min(size, block * part);
      copy(to.data() + begin, from.data() + begin,
           std::min(size - begin, part));
    });
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  timer.Report(state, shape);
}

}  // namespace

void RegisterCopies(const std::vector<Shape>& shapes,
                    const std::vector<int>& threads) {
  const std::pair<const char*, CopyFunction> copies[] = {
      {"copy_stream", StreamingCopy()}, {"memcpy", CopyCached}};
  for (const auto& [name, copy] : copies) {
    for (const Shape& shape : shapes) {
      for (const int t : threads) {
        benchmark::RegisterBenchmark(
            absl::StrCat(name, "/", Name(shape), "/threads:", t).c_str(),
            [shape, t, copy = copy](benchmark::State& state) {
              RunCopy(state, shape, t, copy);
            });
      }
    }
  }
}

}  // namespace lossd::bench
