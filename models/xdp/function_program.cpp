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

void FunctionProgram::run(std::span<const Packet> packets, std::uint16_t, Time start, XdpLoop& loop) {
  XdpVerdict said{XdpAction::aborted, cost_};
  const Packet* next = packets.data();
  do {
    const Packet& packet = *next++;
    const std::span<std::byte> frame(frame_.data(), packet.frame_bytes - 4u);
    const std::size_t known = sources_[packet.source]->headers(packet, frame);
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(known), frame.end(), std::byte{0});
    const std::uint32_t verdict = function_(frame, signals_[packet.queue]);
    said.action = verdict <= 4 ? static_cast<XdpAction>(verdict) : XdpAction::aborted;
  } while (loop.answered(said, start));
}

}  // namespace rxpool
