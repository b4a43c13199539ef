// What becomes of memory that is free for the moment.
#ifndef LOSSD_SERVER_RPC_MEMORY_H_
#define LOSSD_SERVER_RPC_MEMORY_H_

#include <cstddef>

namespace lossd::rpc {

// The most that malloc keeps once it is free, until ReturnFreeMemory, and that
// the pool of buffers does.
inline constexpr size_t kKeptBytes = size_t{56} << 20;

// Makes malloc keep what large messages were received into, for the next one:
// fresh pages may cost more than all the rest of a call (docs/performance.md).
// At most `bytes` of it, and as much in the pool of buffers. One arena, so that
// this is kept once and not once per thread. For the whole process.
void KeepFreeMemory(size_t bytes);

// Gives back to the system what malloc keeps, if that is much, and what the
// pool of buffers does. To be called when there is nothing to do. Any thread.
void ReturnFreeMemory();

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_MEMORY_H_
