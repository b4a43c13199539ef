// Where a call's time goes.
#ifndef LOSSD_SERVER_RPC_PHASE_TIMES_H_
#define LOSSD_SERVER_RPC_PHASE_TIMES_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace lossd::rpc {

enum class Phase {
  kReceive,  // its messages are on their way here
  kQueue,    // it waits for memory, or for a thread to compute
  kCompute,  // from a message's bytes to its answer's
  kSend,     // answers are handed to the transport
};
inline constexpr size_t kPhases = 4;

// How long a call was in each phase. Those of a stream overlap: they are
// switched on and off one by one, and what is off stays off at a second Stop.
//
// Threads: one at a time. Cost: each member reads the clock once.
class PhaseTimes {
 public:
  using Clock = std::chrono::steady_clock;

  void Start(Phase phase, Clock::time_point now = Clock::now()) {
    Span& span = spans_[static_cast<size_t>(phase)];
    span.is_on = true;
    span.is_reached = true;
    span.since = now;
  }

  void Stop(Phase phase, Clock::time_point now = Clock::now()) {
    Span& span = spans_[static_cast<size_t>(phase)];
    if (!span.is_on) return;
    span.is_on = false;
    span.total += now - span.since;
  }

  void Switch(Phase from, Phase to) {
    const Clock::time_point now = Clock::now();
    Stop(from, now);
    Start(to, now);
  }

  void StopAll() {
    const Clock::time_point now = Clock::now();
    for (size_t phase = 0; phase < kPhases; ++phase) {
      Stop(static_cast<Phase>(phase), now);
    }
  }

  // Up to the last Stop; nothing for a phase that was never started.
  std::optional<Clock::duration> Total(Phase phase) const {
    const Span& span = spans_[static_cast<size_t>(phase)];
    if (!span.is_reached) return std::nullopt;
    return span.total;
  }

 private:
  struct Span {
    bool is_on = false;
    bool is_reached = false;
    Clock::time_point since;
    Clock::duration total{0};
  };

  std::array<Span, kPhases> spans_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_PHASE_TIMES_H_
