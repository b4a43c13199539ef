// Which calls are let in, and how many are inside.
#ifndef LOSSD_SERVER_RPC_CALL_GATE_H_
#define LOSSD_SERVER_RPC_CALL_GATE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace lossd::rpc {

// Counts calls in flight; closed, it lets no more in. Any thread.
class CallGate {
 public:
  // Returns false once closed; otherwise the caller is inside until Leave().
  bool Enter();
  void Leave();

  void Close();

  int64_t inside() const;

  // Returns true as soon as nobody is inside; false when `deadline` has passed
  // or `give_up`, asked every few milliseconds, says so.
  bool WaitUntilEmpty(std::chrono::steady_clock::time_point deadline,
                      const std::function<bool()>& give_up);

 private:
  mutable std::mutex mutex_;
  std::condition_variable left_;
  bool closed_ = false;  // guarded by mutex_
  int64_t inside_ = 0;   // guarded by mutex_
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CALL_GATE_H_
