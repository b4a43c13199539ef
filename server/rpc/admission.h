// Which calls get memory, and when.
#ifndef LOSSD_SERVER_RPC_ADMISSION_H_
#define LOSSD_SERVER_RPC_ADMISSION_H_

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace lossd::rpc {

// Shares a budget of bytes among calls. A call reserves what it expects to need
// before its message is read, and changes that once it knows. Who finds no room
// may wait: in order, but that small calls pass large ones, and that a part of
// the budget is theirs alone.
//
// Threads: all members may be called from any thread.
class Admission {
 public:
  // What a small call reserves at most.
  static constexpr int64_t kSmallBytes = int64_t{2} << 20;
  // The most calls that wait.
  static constexpr int64_t kMaxWaiting = 1000;

  // A call that waits, by itself: not to be moved meanwhile.
  struct Waiter {
    int64_t bytes = 0;
    // Called once when the bytes are reserved, by the thread that made room,
    // which holds no lock.
    std::function<void()> on_room;
    bool has_room = false;  // Admission's own
  };

  // `budget_bytes` > 0; 0: there is always room.
  explicit Admission(int64_t budget_bytes);

  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  int64_t budget_bytes() const { return budget_bytes_; }
  // The most that one call can reserve.
  int64_t largest_call_bytes() const;

  // Reserves `bytes`, unless there is no room for them or somebody waits who
  // comes first.
  bool TryEnter(int64_t bytes);
  // Joins those who wait. Returns false where too many do.
  bool Wait(Waiter& waiter);
  // Returns true if `waiter` has no room: it waits no more then, if it did, and
  // on_room is not called any more.
  bool GiveUp(Waiter& waiter);

  // Makes a reservation of `from` bytes one of `to`. Returns false, and leaves
  // it, where there is no room to grow.
  bool Resize(int64_t from, int64_t to);
  // Gives a reservation up.
  void Leave(int64_t bytes);

  int64_t reserved_bytes() const;
  int64_t waiting() const;

 private:
  bool HasRoom(int64_t bytes) const;  // mutex_ held
  void Free(int64_t bytes);

  const int64_t budget_bytes_;
  mutable std::mutex mutex_;
  int64_t reserved_bytes_ = 0;  // guarded by mutex_
  std::list<Waiter*> waiting_;  // guarded by mutex_, the first to come first
  int64_t large_waiting_ = 0;   // of them; guarded by mutex_
};

// What calls of each caller have needed: the best guess at what the next one
// will, since a message's size is not known before it is read. Any thread.
class CallerNeeds {
 public:
  // Callers remembered; when there are more, all are forgotten.
  static constexpr size_t kMaxCallers = 4096;

  // Nothing known: 0.
  int64_t NeedOf(std::string_view caller) const;
  // A smaller need than before counts little by little.
  void Learn(std::string_view caller, int64_t bytes);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, int64_t> needs_;  // guarded by mutex_
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_ADMISSION_H_
