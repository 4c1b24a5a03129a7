// Runs of packets that all meet the same, worked off in one go while nobody can interfere: each has its own step and
// end time, as one_packet() would give it; what is the same for all is added up once.
#include <algorithm>
#include <array>

#include "models/nic/rx_queue.hpp"

namespace rxpool {
namespace {

/// What the skbs of one queue have in common.
struct SkbOrigin {
  RxPages* pages;
  std::uint32_t truesize;
  std::uint16_t cpu;

  SkbId keep(SkbSlab& slab, const Packet& packet, PageId page, Time visible) const {
    const SkbId id = slab.allocate();
    Skb& skb = slab[id];
    skb.packet = packet;
    skb.pages = pages;
    skb.return_hook = nullptr;
    skb.visible = visible;
    skb.page = page;
    skb.truesize = truesize;
    skb.alloc_cpu = cpu;
    return id;
  }
};

/// Does the built-in program send the packet at hand, which there is, by a device that takes it?
bool leaves_by_device(const XdpHook& hook, const RxRing& ring) {
  return hook.target != nullptr && hook.target->fits(ring.adjacent_completions().front().frame_bytes);
}

}  // namespace

/// The packet and its page in a record of the slab: an skb, or a frame that will become one on another CPU.
SkbId RxQueue::keep(Core& core, const Packet& packet, PageId page, Time visible) {
  return SkbOrigin{buffers_.get(), buffers_->truesize(), core.cpu()}.keep(*env_.slab, packet, page, visible);
}

/// At least the packet at hand is dropped.
std::uint32_t RxQueue::drop_run(Core& core) {
  const Time price = core.price(Step::rx_descriptor) + core.price(Step::dma_sync) + core.price(Step::xdp_call) +
                     core.price(Step::xdp_program_drop);
  const std::span<const Packet> run = ring_.adjacent_completions();
  const std::size_t most = std::min<std::size_t>(budget - handled_, run.size());
  const auto most_times = static_cast<std::int64_t>(most);
  const Time limit = std::min(core.ahead_limit(), core.next_interrupt() - picoseconds(1));
  const Time start = core.now();
  Time now = start + price;
  std::size_t n = 1;
  if (start + price * (most_times - 1) <= limit && run[most - 1].completed <= now) {
    n = most;  // completions are in time order: none of them has to be waited for
    now = start + price * most_times;
  } else {
    while (n < most && now <= limit && run[n].completed <= now) {
      ++n;
      now += price;
    }
  }
  std::array<std::int64_t, weight> latencies_ps;
  std::uint64_t bytes = 0;
  Fingerprint ends;
  Time end = start;
  for (std::size_t i = 0; i < n; ++i) {
    end += price;
    latencies_ps[i] = (end - run[i].arrival).ps;
    bytes += run[i].frame_bytes;
    Journal::add(ends, run[i], Fate::xdp_drop, end);
  }
  env_.journal->ended(Fate::xdp_drop, n, ends);
  if (params_.record_latency) latency_.record_all(std::span(latencies_ps).first(n));
  if (env_.journal->trace != nullptr) [[unlikely]] {
    for (std::size_t k = 0; k < n; ++k) {
      const Time polled = start + price * static_cast<std::int64_t>(k);
      trace_packet(core, run[k], polled, polled + price);
    }
  }
  ring_.poll(static_cast<std::uint32_t>(n));
  stats_.rx_bytes += bytes;
  stats_.rx_packets += n;
  stats_.xdp_drop += n;
  stats_.program_runs += n;
  core.advance(now - start);
  const auto times = static_cast<std::int64_t>(n);
  core.attribute(Step::rx_descriptor, times);
  core.attribute(Step::dma_sync, times);
  core.attribute(Step::xdp_call, times);
  core.attribute(Step::xdp_program_drop, times);
  return static_cast<std::uint32_t>(n);
}

/// What the driver does to every packet that a built-in program keeps, in the order of the price list, and how far it
/// has come; the first read of a packet's data belongs to the program or to the building of the skb.
struct RxQueue::Course {
  Course(RxQueue& queue, Core& core)
      : now(core.now()),
        queue_(queue),
        core_(core),
        llc_read_miss_(core.price(Step::llc_read_miss)),
        llc_miss_(core.price(Step::llc_miss)) {
    using Kind = XdpHook::Kind;
    add(Step::rx_descriptor, before_);
    add(Step::dma_sync, before_);
    if (queue.hook_.kind != Kind::none) add(Step::xdp_call, before_);
    if (queue.hook_.kind == Kind::pass) add(Step::xdp_program_pass, before_);
    if (queue.hook_.kind == Kind::redirect) {
      reads_before_ = queue.hook_.cpus == nullptr || queue.hook_.cpus->reads_packet();
      if (reads_before_) add(Step::packet_touch, before_);
      add(Step::xdp_program_redirect, before_);
      add(Step::xdp_redirect, after_);
      return;
    }
    reads_after_ = true;
    add(Step::packet_touch, after_);
    add(Step::skb_alloc, after_);
    add(Step::skb_build, after_);
    if (queue.params_.gro) add(Step::gro_receive, after_);
  }
  /// The step with the next packet, up to its end.
  void receive(const Packet& packet) {
    read_miss_ = reads_before_ || reads_after_ ? queue_.port_.read_miss(packet, now, queue_.params_.index) : 0;
    const Time miss = Llc::charge(llc_read_miss_, read_miss_);
    read_misses_ += miss;
    now += before_ + (reads_before_ ? miss : Time{0});
    latencies_ps_[n++] = (now - packet.arrival).ps;
    bytes_ += packet.frame_bytes;
    now += after_ + (reads_after_ ? miss : Time{0});
  }
  /// As RxQueue::touch_frame(), for that packet.
  void touch_frame() {
    queue_.port_.read_second_line(read_miss_);
    const Time miss = Llc::charge(llc_miss_, read_miss_);
    frame_misses_ += miss;
    now += miss;
  }
  void book() {
    if (queue_.params_.record_latency) queue_.latency_.record_all(std::span(latencies_ps_).first(n));
    RxQueueStats& stats = queue_.stats_;
    stats.rx_bytes += bytes_;
    stats.rx_packets += n;
    stats.program_runs += n;
    stats.xdp_pass += queue_.hook_.kind == XdpHook::Kind::pass ? n : 0;
    core_.advance(now - core_.now());
    for (std::size_t i = 0; i < count_; ++i) core_.attribute(steps_[i], n);
    core_.attribute(Step::llc_read_miss, read_misses_);
    core_.attribute(Step::llc_miss, frame_misses_);
  }
  Time now;
  std::uint32_t n = 0;

 private:
  void add(Step step, Time& sum) {
    steps_[count_++] = step;
    sum += core_.price(step);
  }
  RxQueue& queue_;
  Core& core_;
  Time llc_read_miss_;
  Time llc_miss_;
  Time before_{0};  ///< the verdict
  Time after_{0};
  bool reads_before_ = false;
  bool reads_after_ = false;
  Probability read_miss_ = 0;
  Time read_misses_{0};
  Time frame_misses_{0};
  std::uint64_t bytes_ = 0;
  std::array<Step, 8> steps_;
  std::size_t count_ = 0;
  std::array<std::int64_t, weight> latencies_ps_;
};

/// May the packet at hand begin a run of packets that all go up the stack, to a CPU, or to a device?
bool RxQueue::keeps_alike() const {
  using Kind = XdpHook::Kind;
  const bool alike = hook_.kind == Kind::none || hook_.kind == Kind::pass ||
                     (hook_.kind == Kind::redirect && (hook_.cpus != nullptr || leaves_by_device(hook_, ring_)));
  return alike && buffers_->takes_for_free() && gate_.level == BreakerGate::Level::closed && xsk_ == nullptr &&
         env_.journal->trace == nullptr;
}

/// At least the packet at hand becomes an skb, or a frame on its way to a CPU or device; more until their list is full.
std::uint32_t RxQueue::keep_run(Core& core) {
  const bool to_stack = hook_.kind != XdpHook::Kind::redirect;
  const XdpDevice* const device = to_stack || hook_.cpus != nullptr ? nullptr : hook_.target;
  const std::span<const Packet> run = ring_.adjacent_completions();
  const std::size_t room = to_stack ? normal_list_.room() : weight;
  const std::size_t most = std::min({std::size_t{budget} - handled_, run.size(), room});
  const Time limit = std::min({core.ahead_limit(), core.next_interrupt() - picoseconds(1), port_.known()});
  const SkbOrigin origin{buffers_.get(), buffers_->truesize(), core.cpu()};
  Course course(*this, core);
  bool fits = true;
  do {
    const Packet& packet = run[course.n];
    const std::uint32_t slot = ring_.polled_slot(course.n);
    course.receive(packet);
    if (device != nullptr) {
      course.touch_frame();
      redirect_.accepted();
      redirect_.enqueue({device, nullptr},
                        {.packet = packet, .pages = buffers_.get(), .page = buffers_->take_frame(core, ring_, slot)});
      fits = course.n == most || device->fits(run[course.n].frame_bytes);
      continue;
    }
    const SkbId id = origin.keep(*env_.slab, packet, buffers_->take(core, ring_, slot), course.now);
    if (to_stack) {
      normal_list_.add(id);
    } else {
      redirect_.enqueue(hook_.cpus->choose(packet, core.cpu()), id);
    }
  } while (course.n < most && course.now <= limit && run[course.n].completed <= course.now && fits &&
           !redirect_.overfull());
  ring_.poll(course.n);
  course.book();
  return course.n;
}

}  // namespace rxpool
