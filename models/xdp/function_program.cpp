#include "models/xdp/function_program.hpp"

#include <algorithm>
#include <utility>

namespace rxpool {

FunctionProgram::FunctionProgram(PolicyFunction function, std::uint32_t queues, const Calibration& calibration,
                                 std::vector<const Source*> sources)
    : function_(std::move(function)),
      cost_(calibration.cost(Step::bpf_instruction) * charged_instructions),
      sources_(std::move(sources)),
      signals_(queues),
      frame_(65536) {
  for (bpf::Signal& signal : signals_) signal.abi = bpf::signal_abi;
}

std::uint32_t FunctionProgram::run(std::span<XdpRun> packets, std::uint16_t, Time start, Time overhead, Time limit) {
  Time at = start;
  std::uint32_t n = 0;
  while (n < packets.size()) {
    XdpRun& run = packets[n++];
    const Packet& packet = *run.packet;
    const std::span<std::byte> frame(frame_.data(), packet.frame_bytes - 4u);
    const std::size_t known = sources_[packet.source]->headers(packet, frame);
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(known), frame.end(), std::byte{0});
    const std::uint32_t verdict = function_(frame, signals_[packet.queue]);
    run.cost = cost_;
    run.action = verdict <= 4 ? static_cast<XdpAction>(verdict) : XdpAction::aborted;
    at += run.cost + overhead;
    if (at > limit || (run.action != XdpAction::drop && run.action != XdpAction::aborted)) break;
  }
  return n;
}

}  // namespace rxpool
