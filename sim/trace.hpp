#pragma once
// What happened when, for looking at: context changes of every CPU, polls, and the stages of sampled packets, inside a
// window of simulated time. A component has a pointer to it that is null unless a run is traced; nothing on a
// trajectory reads it. One packet of `sampling` (by its number within its source) is followed.

#include <cstdint>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

class Trace {
 public:
  static constexpr std::uint64_t sampling = 64;
  static constexpr std::uint8_t idle = 0xff;  ///< beside the contexts of a CPU

  enum class Stage : std::uint8_t { arrived, completed, polled, delivered, returned };
  struct ContextChange {
    Time at;
    std::uint16_t cpu = 0;
    std::uint8_t context = idle;
  };
  struct Poll {
    Time begin;
    Time end;
    const void* queue = nullptr;
    std::uint16_t cpu = 0;
    std::uint32_t packets = 0;
  };
  struct Moment {
    Time at;
    const void* queue = nullptr;  ///< memory model of the packet's RX queue
    std::uint64_t packet = 0;
    std::uint16_t cpu = 0;  ///< meaningless before `polled`
    Stage stage = Stage::arrived;
  };

  Trace(Time from, Time to, std::size_t cpus) : from_(from), to_(to), context_(cpus, idle) {}

  static bool samples(std::uint64_t packet) { return (packet & (sampling - 1)) == 0; }

  void context(std::uint16_t cpu, Time at, std::uint8_t context) {
    if (context_[cpu] == context || at > to_) return;
    context_[cpu] = context;
    if (at < from_) return;
    contexts_.push_back({at, cpu, context});
  }
  void poll(const void* queue, std::uint16_t cpu, Time begin, Time end, std::uint32_t packets) {
    if (begin >= from_ && end <= to_) polls_.push_back({begin, end, queue, cpu, packets});
  }
  void moment(Stage stage, const void* queue, std::uint64_t packet, std::uint16_t cpu, Time at) {
    if (at >= from_ && at <= to_) moments_.push_back({at, queue, packet, cpu, stage});
  }

  const std::vector<ContextChange>& contexts() const { return contexts_; }
  const std::vector<Poll>& polls() const { return polls_; }
  const std::vector<Moment>& moments() const { return moments_; }

 private:
  Time from_;
  Time to_;
  std::vector<std::uint8_t> context_;  ///< of each CPU now
  std::vector<ContextChange> contexts_;
  std::vector<Poll> polls_;
  std::vector<Moment> moments_;
};

}  // namespace rxpool
