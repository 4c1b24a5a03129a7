// XDP_REDIRECT of an RX queue: to a device, a CPU, or the AF_XDP socket of the queue.
#include <span>

#include "models/nic/rx_queue.hpp"

namespace rxpool {
namespace {

/// With the length that the program gave it.
Packet as_sent(const Packet& packet, const XdpVerdict& verdict) {
  Packet sent = packet;
  if (verdict.frame_bytes != 0) sent.frame_bytes = verdict.frame_bytes;
  return sent;
}

}  // namespace

/// XD-15: success means queued. False: xdp_do_redirect refuses.
bool RxQueue::redirect_packet(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict) {
  if (hook_.kind == XdpHook::Kind::redirect && hook_.cpus != nullptr) {
    redirect_to_cpu(core, packet, slot, nullptr, verdict);
    return true;
  }
  if (hook_.kind == XdpHook::Kind::xsk) return redirect_to_xsk(core, packet, slot, xsk_, verdict);
  const XdpTarget built_in{hook_.target, nullptr};
  std::span<const XdpTarget> targets(&built_in, 1);
  if (hook_.kind == XdpHook::Kind::program) {
    if (verdict.redirection == nullptr) return false;
    targets = verdict.redirection->targets;
    if (!targets.empty() && targets.front().cpu != nullptr) {
      redirect_to_cpu(core, packet, slot, targets.front().cpu, verdict);
      return true;
    }
    if (!targets.empty() && targets.front().xsk != nullptr) {
      return redirect_to_xsk(core, packet, slot, targets.front().xsk, verdict);
    }
  } else if (hook_.target == nullptr || !hook_.target->fits(packet.frame_bytes)) {
    return false;
  }
  core.charge(Step::xdp_redirect);
  redirect_.accepted();
  if (targets.empty()) {  // XD-24: a broadcast to nobody
    env_.journal->ended(packet, Fate::xdp_devmap_empty, core.now());
    buffers_->drop(core, ring_, slot);
    return true;
  }
  XdpFrame frame = frame_of(core, packet, slot, verdict);
  for (const XdpTarget& target : targets.first(targets.size() - 1)) {
    core.charge(Step::page_alloc_single);
    core.charge_bytes(Step::copy_to_user, frame.packet.frame_bytes);
    XdpFrame copy = frame;
    copy.page = no_page;
    copy.copy = true;
    redirect_.enqueue(target, copy);
  }
  redirect_.enqueue(targets.back(), frame);
  return true;
}

/// Bound for the stack of another CPU: the breaker is asked here (CT-36). The frame lies where its skb will be. Without
/// an entry the built-in program chooses one.
void RxQueue::redirect_to_cpu(Core& core, const Packet& packet, std::uint32_t slot, CpumapEntry* entry,
                              const XdpVerdict& verdict) {
  if (gate_.level != BreakerGate::Level::closed && !gate_.admits(false)) [[unlikely]] {
    refuse(core, packet, slot);
    return;
  }
  const PageId page = buffers_->take(core, ring_, slot);
  if (page == no_page) {
    no_memory(core, packet);
    return;
  }
  core.charge(Step::xdp_redirect);
  const SkbId id = keep(core, as_sent(packet, verdict), page, core.now());
  redirect_.enqueue(entry != nullptr ? *entry : hook_.cpus->choose(packet, core.cpu()), id);
}

/// XD-41, XD-60: to the socket of this queue. False: it does not take the packet.
bool RxQueue::redirect_to_xsk(Core& core, const Packet& packet, std::uint32_t slot, Xsk* xsk,
                              const XdpVerdict& verdict) {
  if (xsk != xsk_) return false;
  if (umem_ == nullptr) return copy_to_xsk(core, packet, slot, verdict);
  core.charge(Step::xdp_redirect);
  if (xsk_->rx_full(step_start_)) {
    ++xsk_->stats().rx_ring_full;
    return false;
  }
  core.charge(Step::xsk_ring_put);
  xsk_->receive(as_sent(packet, verdict), umem_->hand_over(ring_, slot));
  redirect_.enqueue(*xsk_);
  return true;
}

/// XD-61: into a frame of the socket; the page goes home at once. The breaker is asked (CT-36).
bool RxQueue::copy_to_xsk(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict) {
  if (gate_.level != BreakerGate::Level::closed && !gate_.admits(false)) [[unlikely]] {
    refuse(core, packet, slot);
    return true;
  }
  core.charge(Step::xdp_redirect);
  const Packet sent = as_sent(packet, verdict);
  const std::uint32_t bytes = sent.frame_bytes - 4u;
  const PageId frame = bytes > Xsk::longest_packet ? no_page : xsk_->allocate(step_start_);
  if (frame == no_page) {
    ++xsk_->stats().rx_dropped;
    if (bytes <= Xsk::longest_packet) ++xsk_->stats().rx_fill_ring_empty_descs;
    return false;
  }
  core.charge(Step::xsk_ring_get);
  touch(core, packet);
  core.charge_bytes(Step::copy_to_user, bytes);
  if (xsk_->rx_full(step_start_)) {
    ++xsk_->stats().rx_ring_full;
    xsk_->free(frame);
    return false;
  }
  core.charge(Step::xsk_ring_put);
  xsk_->receive(sent, frame);
  redirect_.enqueue(*xsk_);
  const PageId page = buffers_->take_frame(core, ring_, slot);
  if (page == no_page) return true;
  MemoryContext& context = core.memory(true);
  buffers_->put_direct(context, page);
  core.charge_memory();
  return true;
}

/// The packet leaves its slot, with the length that the program gave it. Its record is a second line of the buffer.
XdpFrame RxQueue::frame_of(Core& core, const Packet& packet, std::uint32_t slot, const XdpVerdict& verdict) {
  touch_frame(core);
  return {.packet = as_sent(packet, verdict), .pages = buffers_.get(), .page = buffers_->take_frame(core, ring_, slot)};
}

}  // namespace rxpool
