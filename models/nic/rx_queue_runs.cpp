// Runs of packets that all meet the same, worked off in one go while nobody can interfere: each has its own step and
// end time, as one_packet() would give it; what is the same for all is added up once.
#include <algorithm>
#include <array>

#include "models/nic/rx_queue.hpp"

namespace rxpool {

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

/// What the driver does to every packet that a built-in program keeps, in the order of the price list; the first read
/// of its data belongs to the program or to the building of the skb.
struct RxQueue::Course {
  Course(const RxQueue& queue, const Core& core) : core_(core) {
    using Kind = XdpHook::Kind;
    add(Step::rx_descriptor, before);
    add(Step::dma_sync, before);
    if (queue.hook_.kind != Kind::none) add(Step::xdp_call, before);
    if (queue.hook_.kind == Kind::pass) add(Step::xdp_program_pass, before);
    if (queue.hook_.kind == Kind::redirect) {
      reads_before = queue.hook_.cpus->reads_packet();
      if (reads_before) add(Step::packet_touch, before);
      add(Step::xdp_program_redirect, before);
      add(Step::xdp_redirect, after);
      return;
    }
    reads_after = true;
    add(Step::packet_touch, after);
    add(Step::skb_alloc, after);
    add(Step::skb_build, after);
    if (queue.params_.gro) add(Step::gro_receive, after);
  }
  void add(Step step, Time& sum) {
    steps[count++] = step;
    sum += core_.price(step);
  }
  Time before{0};  ///< the verdict
  Time after{0};
  bool reads_before = false;
  bool reads_after = false;
  std::array<Step, 8> steps;
  std::size_t count = 0;

 private:
  const Core& core_;
};

/// May the packet at hand begin a run of packets that all go up the stack, or to a CPU?
bool RxQueue::keeps_alike() const {
  using Kind = XdpHook::Kind;
  const bool alike =
      hook_.kind == Kind::none || hook_.kind == Kind::pass || (hook_.kind == Kind::redirect && hook_.cpus != nullptr);
  return alike && buffers_->takes_for_free() && gate_.level == BreakerGate::Level::closed && xsk_ == nullptr &&
         env_.journal->trace == nullptr;
}

/// At least the packet at hand becomes an skb, or a frame on its way to a CPU; more until their list is full.
std::uint32_t RxQueue::keep_run(Core& core) {
  const Course course(*this, core);
  const bool to_stack = hook_.kind != XdpHook::Kind::redirect;
  const std::span<const Packet> run = ring_.adjacent_completions();
  const std::size_t room = to_stack ? normal_list_.room() : weight;
  const std::size_t most = std::min({std::size_t{budget} - handled_, run.size(), room});
  const Time limit = std::min({core.ahead_limit(), core.next_interrupt() - picoseconds(1), port_.known()});
  const Time llc_read_miss = core.price(Step::llc_read_miss);
  std::array<std::int64_t, weight> latencies_ps;
  std::uint64_t bytes = 0;
  Time misses{0};
  Time now = core.now();
  std::uint32_t n = 0;
  do {
    const Packet& packet = run[n];
    const bool reads = course.reads_before || course.reads_after;
    const Time miss = reads ? Llc::charge(llc_read_miss, port_.read_miss(packet, now, params_.index)) : Time{0};
    misses += miss;
    now += course.before + (course.reads_before ? miss : Time{0});
    latencies_ps[n] = (now - packet.arrival).ps;
    bytes += packet.frame_bytes;
    now += course.after + (course.reads_after ? miss : Time{0});
    const SkbId id = keep(core, packet, buffers_->take(core, ring_, ring_.polled_slot(n)), now);
    if (to_stack) {
      normal_list_.add(id);
    } else {
      redirect_.enqueue(hook_.cpus->choose(packet, core.cpu()), id);
    }
    ++n;
  } while (n < most && now <= limit && run[n].completed <= now && !redirect_.overfull());
  ring_.poll(n);
  if (params_.record_latency) latency_.record_all(std::span(latencies_ps).first(n));
  stats_.rx_bytes += bytes;
  stats_.rx_packets += n;
  stats_.program_runs += n;
  stats_.xdp_pass += hook_.kind == XdpHook::Kind::pass ? n : 0;
  core.advance(now - core.now());
  for (std::size_t i = 0; i < course.count; ++i) core.attribute(course.steps[i], n);
  core.attribute(Step::llc_read_miss, misses);
  return n;
}

}  // namespace rxpool
