#pragma once
// A function of the embedding program (Python) in a driver's XDP hook: for quick ideas. Slow on the machine that
// simulates, some microseconds per packet; the simulated CPU is charged as for a parser of 50 instructions, whatever
// the function does. What it remembers is shared by all CPUs of its NIC, which therefore take turns.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/calibration/calibration.hpp"
#include "models/traffic/source.hpp"
#include "models/xdp/given_policy.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

class FunctionProgram final : public XdpProgram {
 public:
  static constexpr std::int64_t charged_instructions = 50;

  /// `sources` indexed by Packet::source; `queues` of the NIC, each with a signal of its own.
  FunctionProgram(PolicyFunction function, std::uint32_t queues, const Calibration& calibration,
                  std::vector<const Source*> sources);

  void run(std::span<const Packet> packets, std::uint16_t cpu, Time start, XdpLoop& loop) override;
  bool reads_packet() const override { return true; }
  bool shares_state() const override { return true; }
  /// The signal that the function is shown for packets of an RX queue.
  bpf::Signal& signal(std::uint32_t queue) { return signals_[queue]; }

 private:
  PolicyFunction function_;
  Time cost_;
  std::vector<const Source*> sources_;
  std::vector<bpf::Signal> signals_;
  std::vector<std::byte> frame_;
};

}  // namespace rxpool
