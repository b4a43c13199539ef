// Messages that come from a caller in this very process.
#ifndef LOSSD_SERVER_RPC_IN_PROCESS_H_
#define LOSSD_SERVER_RPC_IN_PROCESS_H_

#include <atomic>
#include <cstdint>

namespace lossd::rpc {

// Caller and server read each other's messages where these were written. gRPC
// orders the one after the other, but in code that ThreadSanitizer, which
// checks the rest, does not see; this it sees.
inline std::atomic<uint32_t> in_process_messages{0};

// To be called before a message is sent, by either.
inline void HandOverInProcess() {
  in_process_messages.fetch_add(1, std::memory_order_release);
}

// And before one is read.
inline void TakeOverInProcess() {
  (void)in_process_messages.load(std::memory_order_acquire);
}

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_IN_PROCESS_H_
