#include "models/calibration.hpp"

#include <cmath>
#include <regex>
#include <vector>

#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

namespace rxpool {

using nlohmann::json;
using scenario::fail;
using scenario::join_place;

const std::array<StepInfo, step_count> calibration_steps{{
    {Step::hardirq, "hardirq", "interrupt", "hard interrupt up to napi_schedule"},
    {Step::interrupt_exit, "interrupt_exit", "interrupt", "return from the interrupt"},
    {Step::softirq_entry, "softirq_entry", "softirq", "entering and leaving net_rx_action"},
    {Step::napi_poll, "napi_poll", "poll", "fixed part of one poll"},
    {Step::napi_complete, "napi_complete", "poll", "completing a NAPI and unmasking its interrupt"},
    {Step::rx_descriptor, "rx_descriptor", "packet", "reading and handling one completion"},
    {Step::dma_sync, "dma_sync", "packet", "the DMA sync calls of a packet"},
    {Step::xdp_call, "xdp_call", "packet", "entering and leaving the XDP hook"},
    {Step::xdp_program_drop, "xdp_program_drop", "packet", "the built-in program that drops"},
    {Step::xdp_program_pass, "xdp_program_pass", "packet", "the built-in program that passes"},
    {Step::xdp_program_tx, "xdp_program_tx", "packet", "the built-in program that swaps the addresses and sends back"},
    {Step::xdp_program_redirect, "xdp_program_redirect", "packet",
     "the built-in program that swaps the addresses and redirects by a map"},
    {Step::bpf_instruction, "bpf_instruction", "instruction", "one executed eBPF instruction"},
    {Step::bpf_helper, "bpf_helper", "call", "calling a helper, and helpers without a price of their own"},
    {Step::bpf_map_lookup, "bpf_map_lookup", "call", "bpf_map_lookup_elem"},
    {Step::bpf_map_update, "bpf_map_update", "call", "bpf_map_update_elem, bpf_map_delete_elem"},
    {Step::bpf_ktime, "bpf_ktime", "call", "bpf_ktime_get_ns"},
    {Step::refill_descriptor, "refill_descriptor", "descriptor", "writing one descriptor"},
    {Step::refill_bulk, "refill_bulk", "bulk", "fixed part of one refill call"},
    {Step::doorbell, "doorbell", "bulk", "telling the NIC of new descriptors"},
    {Step::tx_descriptor, "tx_descriptor", "packet", "writing one XDP transmit descriptor, DMA sync included"},
    {Step::tx_completion, "tx_completion", "packet", "handling the completion of one transmitted frame"},
    {Step::tx_queue_lock, "tx_queue_lock", "lock", "the lock of a transmit queue that CPUs share, uncontended"},
    {Step::xdp_redirect, "xdp_redirect", "packet", "xdp_do_redirect: frame from buffer, bulk queue of the target"},
    {Step::cpumap_ring_put, "cpumap_ring_put", "packet", "a frame into the ring of a cpumap entry, without its lock"},
    {Step::cpumap_wakeup, "cpumap_wakeup", "wakeup", "waking the thread of a cpumap entry that sleeps"},
    {Step::cpumap_wakeup_running, "cpumap_wakeup_running", "call", "the same call for a thread that is awake"},
    {Step::cpumap_dequeue, "cpumap_dequeue", "packet",
     "taking a frame from that ring, with its lines from the other CPU"},
    {Step::packet_touch, "packet_touch", "packet", "first read of packet data that DMA left in the LLC"},
    {Step::llc_hit, "llc_hit", "line", "an access that hits the LLC"},
    {Step::llc_miss, "llc_miss", "line", "an access that goes to memory, as far as it is not overlapped"},
    {Step::page_pool_cache_get, "page_pool_cache_get", "page", "a page out of the alloc cache"},
    {Step::page_pool_cache_put, "page_pool_cache_put", "page", "a page into the alloc cache"},
    {Step::page_pool_ring_get, "page_pool_ring_get", "page", "a page from the ptr_ring to the alloc cache"},
    {Step::page_pool_ring_put, "page_pool_ring_put", "page", "a page into the ptr_ring, without its lock"},
    {Step::ptr_ring_lock, "ptr_ring_lock", "lock", "the ring's producer lock, uncontended"},
    {Step::pcp_alloc, "pcp_alloc", "page", "a page popped from a per-CPU list"},
    {Step::pcp_free, "pcp_free", "page", "a page pushed on a per-CPU list"},
    {Step::zone_lock, "zone_lock", "lock", "one hold of the zone lock, uncontended"},
    {Step::buddy_page, "buddy_page", "page", "a page moved between buddy and per-CPU list, either way"},
    {Step::page_alloc_single, "page_alloc_single", "call", "fixed part of one allocation, single or bulk"},
    {Step::dma_map, "dma_map", "page", "mapping a page for DMA"},
    {Step::dma_unmap, "dma_unmap", "page", "unmapping it"},
    {Step::skb_alloc, "skb_alloc", "packet", "an sk_buff head from its cache"},
    {Step::skb_alloc_bulk, "skb_alloc_bulk", "packet", "an sk_buff head as part of a bulk"},
    {Step::skb_build, "skb_build", "packet", "clearing the head, building the skb around the buffer"},
    {Step::skb_free, "skb_free", "packet", "freeing one skb, head and data"},
    {Step::skb_free_bulk, "skb_free_bulk", "packet", "freeing one skb as part of a bulk"},
    {Step::gro_receive, "gro_receive", "packet", "a GRO attempt"},
    {Step::netif_receive, "netif_receive", "packet", "netif_receive_skb and early IP input"},
    {Step::netfilter_raw, "netfilter_raw", "packet", "rule lookup in PREROUTING raw"},
    {Step::netfilter_filter, "netfilter_filter", "packet", "passing a loaded filter table"},
    {Step::conntrack, "conntrack", "packet", "connection tracking of a packet"},
    {Step::fib_input, "fib_input", "packet", "route lookup and local delivery"},
    {Step::udp_receive, "udp_receive", "packet", "UDP input up to the socket lookup's result"},
    {Step::udp_no_port, "udp_no_port", "packet", "closed port: counters and the rate-limited ICMP answer"},
    {Step::tcp_receive, "tcp_receive", "packet", "TCP input up to the socket queue: lookup, sequence check, window"},
    {Step::tcp_ack, "tcp_ack", "packet", "building one acknowledgement and giving it to the NIC"},
    {Step::socket_enqueue, "socket_enqueue", "packet", "charging memory and queueing on the socket"},
    {Step::socket_wakeup, "socket_wakeup", "wakeup", "waking a reader that sleeps"},
    {Step::syscall_entry, "syscall_entry", "call", "entry and exit of recvmsg or recvmmsg"},
    {Step::socket_dequeue, "socket_dequeue", "packet", "taking one packet off the socket queue"},
    {Step::copy_to_user, "copy_to_user", "packet", "copying to the application: fixed part and per byte"},
    {Step::skb_defer_push, "skb_defer_push", "packet", "handing an skb to the CPU that allocated it"},
    {Step::ipi, "ipi", "interrupt", "an interrupt from another CPU, where it arrives"},
    {Step::context_switch, "context_switch", "switch", "from one thread to another"},
    {Step::tick, "tick", "interrupt", "the timer tick"},
    {Step::ksoftirqd_wake, "ksoftirqd_wake", "wakeup", "waking ksoftirqd"},
    {Step::kswapd_batch, "kswapd_batch", "bulk", "kswapd reclaiming 32 pages"},
}};

namespace {

/// One object of a calibration file: every member is asked for by name, what was not asked for is an error.
class Section {
 public:
  Section(const json& value, std::string source, std::string place)
      : value_(value), source_(std::move(source)), place_(std::move(place)) {
    if (!value_.is_object()) fail(source_, place_, "must be an object");
  }

  const json* optional(std::string_view name) {
    known_.push_back(name);
    const auto found = value_.find(std::string(name));
    return found == value_.end() ? nullptr : &*found;
  }
  const json& required(std::string_view name) {
    const json* found = optional(name);
    if (found == nullptr) fail(source_, at(name), "missing; add it");
    return *found;
  }
  Section section(std::string_view name) { return {required(name), source_, at(name)}; }
  std::string text(std::string_view name) {
    const json& found = required(name);
    if (!found.is_string() || found.get_ref<const std::string&>().empty()) fail(source_, at(name), "must be a text");
    return found.get<std::string>();
  }
  std::string text_or_empty(std::string_view name) {
    return value_.contains(std::string(name)) ? text(name) : (known_.push_back(name), "");
  }
  double number(std::string_view name, double min, double max) {
    const json& found = required(name);
    if (!found.is_number()) fail(source_, at(name), "must be a number");
    const double v = found.get<double>();
    if (v < min || v > max) {
      fail(source_, at(name), found.dump() + " is out of range; use " + json(min).dump() + " … " + json(max).dump());
    }
    return v;
  }
  void done() const {
    for (const auto& [name, ignored] : value_.items()) {
      bool known = false;
      for (const std::string_view k : known_) known = known || k == name;
      if (known) continue;
      const std::string_view near = scenario::nearest(name, known_);
      fail(source_, at(name),
           near.empty() ? "unknown key; remove it" : "unknown key; did you mean \"" + std::string(near) + "\"?");
    }
  }
  std::string at(std::string_view name) const { return join_place(place_, name); }
  const std::string& source() const { return source_; }

 private:
  const json& value_;
  std::string source_;
  std::string place_;
  std::vector<std::string_view> known_;
};

constexpr double max_ns = 1e9;

std::int64_t to_ps(double ns) {
  return std::llround(ns * 1000.0);
}
Time ns(double value) {
  return Time{to_ps(value)};
}

/// A figure id (XP-31, PB-4/64), "fit:" and the ids fitted to, "prior" with a note where nobody published a figure, or
/// "measured" with a note that says how, on the file's own machine.
void check_figure(Section& entry, const Calibration& file) {
  static const std::regex reference(
      "(fit:)?[A-Z]{1,3}-?[0-9]+[a-z]?(/[A-Za-z0-9_.]+)*(,[A-Z]{1,3}-?[0-9]+[a-z]?(/[A-Za-z0-9_.]+)*)*");
  const std::string figure = entry.text("figure");
  const std::string note = entry.text_or_empty("note");
  if (figure == "prior" || figure == "measured") {
    if (note.empty()) {
      fail(entry.source(), entry.at("note"), "missing; a " + figure + " number says in a note where it comes from");
    }
  } else if (!std::regex_match(figure, reference)) {
    fail(entry.source(), entry.at("figure"),
         "\"" + scenario::printable(figure) +
             "\" is no figure; use an id (XP-31), fit:ID,ID, or prior or measured with a note");
  }
  const std::string era = entry.text_or_empty("era");
  if (!era.empty() && era != file.era && file.mixes_eras.empty()) {
    fail(entry.source(), entry.at("era"),
         "\"" + scenario::printable(era) + "\" is not the file's era; say why in mixes_eras, or use another number");
  }
}

double figured_number(Section& parent, std::string_view name, double min, double max, const Calibration& file) {
  Section entry = parent.section(name);
  const double value = entry.number("value", min, max);
  check_figure(entry, file);
  entry.done();
  return value;
}

void read_steps(Section steps, Calibration& file) {
  for (const StepInfo& info : calibration_steps) {
    Section entry = steps.section(info.name);
    StepCost& cost = file.steps[static_cast<std::size_t>(info.step)];
    cost.fixed = ns(entry.number("ns", 0, max_ns));
    if (info.step == Step::copy_to_user) cost.ps_per_byte = to_ps(entry.number("ns_per_byte", 0, 1000));
    if (const std::string per = entry.text("per"); per != info.per) {
      fail(entry.source(), entry.at("per"),
           "\"" + scenario::printable(per) + "\" must be \"" + std::string(info.per) + "\"");
    }
    check_figure(entry, file);
    entry.done();
  }
  steps.done();
}

IdleCost read_idle(Section& idle, std::string_view name, const Calibration& file) {
  Section entry = idle.section(name);
  IdleCost state;
  state.exit = ns(entry.number("exit_ns", 0, max_ns));
  state.residency = ns(entry.number("residency_ns", 0, max_ns));
  check_figure(entry, file);
  entry.done();
  return state;
}

}  // namespace

Calibration load_calibration(std::string_view text, const std::string& source_name) {
  const json document = scenario::parse_json(text, source_name);
  Section top(document, source_name, "");
  Calibration file;
  if (top.number("schema", 1, 1) != 1) fail(source_name, "schema", "must be 1");
  file.name = top.text("name");
  file.machine = top.text("machine");
  file.era = top.text("era");
  file.mixes_eras = top.text_or_empty("mixes_eras");
  top.text_or_empty("note");
  const json& provisional = top.required("provisional");
  if (!provisional.is_boolean()) fail(source_name, "provisional", "must be true or false");
  file.provisional = provisional.get<bool>();
  read_steps(top.section("steps"), file);

  Section llc = top.section("llc");
  file.llc.bytes = static_cast<std::uint64_t>(std::llround(figured_number(llc, "mib", 0.25, 4096, file) * 1048576.0));
  file.llc.ways = static_cast<std::uint32_t>(figured_number(llc, "ways", 1, 64, file));
  file.llc.ddio_ways = static_cast<std::uint32_t>(figured_number(llc, "ddio_ways", 0, file.llc.ways, file));
  llc.done();

  Section pcie = top.section("pcie");
  file.pcie.ps_per_byte = std::llround(1000.0 / figured_number(pcie, "gbytes_per_s", 0.1, 1000, file));
  file.pcie.packet = ns(figured_number(pcie, "packet_ns", 0, 1e6, file));
  file.pcie.packet_cqe_compress = ns(figured_number(pcie, "packet_ns_cqe_compress", 0, 1e6, file));
  file.pcie.tx_packet = ns(figured_number(pcie, "tx_packet_ns", 0, 1e6, file));
  file.pcie.latency = ns(figured_number(pcie, "latency_ns", 0, 1e6, file));
  pcie.done();

  Section idle = top.section("idle");
  file.idle.poll = read_idle(idle, "poll", file);
  file.idle.c1 = read_idle(idle, "c1", file);
  file.idle.deep = read_idle(idle, "deep", file);
  idle.done();
  top.done();
  return file;
}

Calibration load_calibration_file(const std::string& path) {
  return load_calibration(scenario::read_text_file(path), path);
}

}  // namespace rxpool
