// The egress program of a policy.
#include "models/xdp/policy_program.hpp"

namespace rxpool {

EgressHook::Verdict PolicyProgram::leaves(const Packet& packet, const Ring& ring, std::uint16_t cpu, Time start) {
  constexpr std::uint32_t slot = 0;  // between two packets nobody needs the XDP program's
  load(packet, start);
  bpf::EgressContext context;
  context.rx_hash = packet.rss_hash;
  context.rx_queue_index = packet.queue;
  context.egress_ifindex = ring.ifindex == 0 ? ifindex_ : ring.ifindex;
  context.tx_queue = ring.queue;
  context.ring_fill = ring.fill;
  context.ring_size = ring.size;
  enter(cpu);
  const bpf::Outcome outcome = policy_->run_egress(slot, context);
  Verdict verdict;
  verdict.action = outcome.r0 <= 4 ? static_cast<XdpAction>(outcome.r0) : XdpAction::aborted;
  verdict.cost = Time{outcome.cost_ps};
  verdict.backoff = context.backoff;
  if (verdict.action == XdpAction::redirect) {
    const XdpRedirection* const to = redirect_.resolve(outcome.redirect, packet.frame_bytes, ifindex_);
    if (to != nullptr && to->targets.size() == 1) verdict.target = to->targets.front();
  }
  return verdict;
}

}  // namespace rxpool
