#include "kernel/lab/lab.hpp"

#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "kernel/lab/commands.hpp"

namespace rxpool::lab {
namespace {

constexpr std::int64_t settle_ns = 50'000'000;  // generator up, pool known, before the first send
constexpr std::int64_t timer_ns = 1'000'000;    // of the sampler in the kernel

void on_stop(int) {}

std::uint16_t checksum(const std::vector<std::uint8_t>& data, std::size_t at, std::size_t size) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < size; i += 2) {
    sum += static_cast<std::uint32_t>(data[at + i] << 8 | data[at + i + 1]);
  }
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~(sum + (sum >> 16)));
}

// Ethernet, IPv4, UDP without checksum; the pacer fills in the ports.
std::vector<std::uint8_t> frame_of(std::uint32_t bytes) {
  std::vector<std::uint8_t> frame(bytes, 0);
  const auto put16 = [&](std::size_t at, std::size_t value) {
    frame[at] = static_cast<std::uint8_t>(value >> 8);
    frame[at + 1] = static_cast<std::uint8_t>(value);
  };
  const std::array<std::uint8_t, 14> ethernet{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
  std::copy(ethernet.begin(), ethernet.end(), frame.begin());
  const std::array<std::uint8_t, 20> ip{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 2, 198, 18, 0, 1};
  std::copy(ip.begin(), ip.end(), frame.begin() + 14);
  put16(16, bytes - 14);
  put16(24, checksum(frame, 14, 20));
  put16(38, bytes - 34);
  return frame;
}

}  // namespace

Lab::Lab(const Plan& plan, const std::string& schedule_path, std::string realised_path)
    : plan_(plan), realised_path_(std::move(realised_path)), frame_(frame_of(plan.frame_bytes)) {
  leave_autogroup();
  run_on_cpu(plan.generator_cpu);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    fail("a network namespace needs CAP_SYS_ADMIN");
  }
  // The new namespace's own devices, seen by this process and its children only.
  mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) {
    fail("mounting sysfs in the lab's namespace");
  }
  const char* objects = std::getenv("RXPOOL_LAB_OBJECTS");
  probes_ = std::make_unique<Probes>(std::string(objects != nullptr ? objects : ".") + "/lab.bpf.o", schedule_path,
                                     static_cast<std::size_t>(plan.duration_ms * 1e6 / timer_ns) + 100);
  make_devices();
  policy_ = std::make_unique<LabPolicy>(plan, *probes_);
  policy_->attach(static_cast<int>(probes_->control().receiver));
  if (policy_->signal() != nullptr) {
    agent_ = std::make_unique<Agent>(plan.control, plan.hz, *probes_, *policy_->signal());
  }
  if (plan.threaded) {
    start_threaded_napi();
  }
  if (plan.xsk.frames != 0) {
    make_xsk();
  }
  for (const SocketPlan& socket : plan.sockets) {
    const auto on_its_cpu = std::count_if(plan.sockets.begin(), plan.sockets.end(),
                                          [&](const SocketPlan& other) { return other.cpu == socket.cpu; });
    readers_.push_back(std::make_unique<Reader>(socket, on_its_cpu > 1));
  }
}

Lab::~Lab() {
  for (auto& reader : readers_) {
    reader->stop();
  }
}

void Lab::make_devices() {
  // Names of this process, so that the kernel thread of a threaded NAPI can be told from another lab's.
  sender_ = "lg" + std::to_string(getpid());
  receiver_ = "lr" + std::to_string(getpid());
  shell("ip link set lo up");
  shell("ip link add " + sender_ + " type veth peer name " + receiver_);
  for (const std::string& name : {sender_, receiver_}) {
    write_file("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", "1");
  }
  for (const std::string& name : {std::string("all"), receiver_}) {
    write_file("/proc/sys/net/ipv4/conf/" + name + "/rp_filter", "0");
  }
  shell("ip link set " + receiver_ + " address 02:00:00:00:00:01");
  shell("ip address add " + std::string(receiver_address) + "/24 dev " + receiver_);
  if (plan_.tcp.port == 0) {
    shell("ip link set " + sender_ + " up");
  } else {
    tcp_ = std::make_unique<TcpSender>(plan_.tcp, plan_.generator_cpu, sender_);
  }
  shell("ip link set " + receiver_ + " up");
  struct stat space{};
  stat("/proc/self/ns/net", &space);
  LabControl& control = probes_->control();
  control.netns = static_cast<std::uint32_t>(space.st_ino);
  control.ifindex = if_nametoindex(sender_.c_str());
  control.receiver = if_nametoindex(receiver_.c_str());
  control.entries = probes_->schedule_entries();
  control.receivers_pool = tcp_ != nullptr;
  for (std::size_t i = 0; i < plan_.ports.size() && i < std::size(control.ports); ++i) {
    control.ports[i] = __builtin_bswap16(plan_.ports[i]);
  }
}

void Lab::make_xsk() {
  xsk_ = std::make_unique<Xsk>(plan_.xsk, static_cast<int>(probes_->control().receiver));
  const std::uint32_t queue = 0;
  const int socket = xsk_->fd();
  if (bpf_map_update_elem(probes_->map("xsks"), &queue, &socket, BPF_ANY) != 0) {
    fail("the AF_XDP socket's place in its map");
  }
}

void Lab::start_threaded_napi() {
  write_file("/sys/class/net/" + receiver_ + "/threaded", "1");
  bool found = false;
  for (const int thread : threads_called("napi/" + receiver_ + "-")) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(plan_.napi_cpu, &set);
    found = sched_setaffinity(thread, sizeof(set), &set) == 0 || found;
    go_before_others(Urgency::works, thread);
  }
  if (!found) {
    throw Unavailable("the thread of the threaded NAPI was not found");
  }
}

// One test run holds the whole run, because each has a pool of its own; a signal ends it.
void Lab::generate() {
  run_on_cpu(plan_.generator_cpu);
  go_first();
  probes_->control().generator_tid = static_cast<std::uint32_t>(syscall(SYS_gettid));
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame_.data();
  options.data_size_in = static_cast<std::uint32_t>(frame_.size());
  options.repeat = 2'000'000'000;
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = plan_.batch;
  bpf_prog_test_run_opts(probes_->program("pace"), &options);
}

Lab::Sample Lab::sample() {
  const TcpSender::State tcp = tcp_ ? tcp_->state() : TcpSender::State{};
  Sample sample{.pool = probes_->levels(),
                .sent = tcp_ ? tcp.segments : probes_->counters().sent,
                .retransmitted = tcp.retransmitted,
                .devmap_drops = probes_->counters().devmap_drops,
                .cpumap_drops = probes_->counters().cpumap_drops,
                .xdp_drops = policy_->dropped(),
                .sockets = {},
                .xsk = xsk_ ? xsk_->state() : Xsk::State{}};
  sample.pool.time_ns -= begin_ns_;
  for (const auto& reader : readers_) {
    sample.sockets.push_back(reader->state());
  }
  return sample;
}

void Lab::start_sender() {
  if (tcp_) {
    tcp_->connect();  // the first poll of the handshake shows the queue's pool
    return;
  }
  struct sigaction action{};
  action.sa_handler = on_stop;
  sigaction(SIGUSR1, &action, nullptr);
  generator_ = std::thread([this] { generate(); });
}

void Lab::stop_sender() {
  if (tcp_) {
    tcp_->stop();
    return;
  }
  pthread_kill(generator_.native_handle(), SIGUSR1);
  generator_.join();
}

std::string Lab::run() {
  start_sender();
  const std::int64_t limit_ns = now_ns() + 2'000'000'000;
  while (probes_->counters().pool == 0 && now_ns() < limit_ns) {
    sleep_until_ns(now_ns() + 1'000'000);
  }
  const bool running = probes_->counters().pool != 0;
  begin_ns_ = now_ns() + settle_ns;
  if (running) {
    const int cpu = plan_.sockets.empty() ? 1 - plan_.generator_cpu : plan_.sockets.front().cpu;
    run_on_cpu(cpu);
    probes_->start_timer(cpu, timer_ns);
    for (const auto& reader : readers_) {
      reader->start(begin_ns_);
    }
    if (xsk_) {
      xsk_->start(begin_ns_);
    }
    if (tcp_) {
      tcp_->start(begin_ns_);
    }
    go_before_others(Urgency::samples);
    if (agent_) {
      agent_->start();
    }
    watch();
  }
  if (agent_) {
    agent_->stop();
  }
  totals_ = probes_->counters();
  stop_sender();
  for (const auto& reader : readers_) {
    reader->stop();
  }
  if (xsk_) {
    xsk_->stop();
  }
  if (!running) {
    throw Unavailable(
        tcp_ ? "the page_pool of the receiving queue was never seen (this kernel's veth shows none)"
             : "the generator's page_pool was never seen (live frames need kernel 5.18 and CAP_NET_ADMIN)");
  }
  probes_->write_realised(realised_path_);
  return report();
}

void Lab::watch() {
  const auto count = static_cast<std::size_t>(plan_.duration_ms * 1000 / plan_.sample_us) + 1;
  samples_.reserve(count);
  probes_->start_account();
  const std::int64_t account_end_ns = begin_ns_ + static_cast<std::int64_t>(plan_.warmup_ms * 1e6);
  const std::int64_t account_begin_ns = now_ns();
  probes_->control().begin_ns = static_cast<std::uint64_t>(begin_ns_);
  const CpuTime before = cpu_time();
  for (std::size_t i = 0; i < count; ++i) {
    sleep_until_ns(begin_ns_ + static_cast<std::int64_t>(static_cast<double>(i) * plan_.sample_us * 1000));
    if (account_ns_ == 0 && now_ns() >= account_end_ns) {
      costs_ = probes_->costs();
      account_ns_ = now_ns() - account_begin_ns;
    }
    samples_.push_back(sample());
  }
  const CpuTime after = cpu_time();
  host_ = {.total = after.total - before.total, .stolen = after.stolen - before.stolen};
}

std::string Lab::report() const {
  using nlohmann::json;
  json result;
  json series;
  for (const char* name : {"time_ns", "inflight", "held", "pool_cache", "pool_ring", "sent", "tx_xdp_xmit_errors",
                           "cpumap_drops", "xdp_drop"}) {
    series[name] = json::array();
  }
  for (const Sample& sample : samples_) {
    series["time_ns"].push_back(sample.pool.time_ns);
    series["inflight"].push_back(sample.pool.inflight);
    series["held"].push_back(sample.pool.held);
    series["pool_cache"].push_back(sample.pool.cache);
    series["pool_ring"].push_back(sample.pool.ring);
    series["sent"].push_back(sample.sent);
    series["tx_xdp_xmit_errors"].push_back(sample.devmap_drops);
    if (tcp_) {
      series["retransmitted"].push_back(sample.retransmitted);
    }
    series["cpumap_drops"].push_back(sample.cpumap_drops);
    if (sample.xdp_drops) {
      series["xdp_drop"].push_back(*sample.xdp_drops);
    }
  }
  result["series"] = series;
  result["sockets"] = json::object();
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    json socket{{"rcvbuf", readers_[i]->rcvbuf()}};
    for (const Sample& sample : samples_) {
      socket["received"].push_back(sample.sockets[i].received);
      socket["rmem_alloc"].push_back(sample.sockets[i].rmem_alloc);
      socket["drops"].push_back(sample.sockets[i].drops);
    }
    result["sockets"][readers_[i]->plan().name] = socket;
  }
  if (xsk_) {
    json& xsk = result["xsk"];
    for (const Sample& sample : samples_) {
      xsk["received"].push_back(sample.xsk.received);
      xsk["rx_dropped"].push_back(sample.xsk.statistics.rx_dropped);
      xsk["rx_ring_full"].push_back(sample.xsk.statistics.rx_ring_full);
      xsk["rx_fill_ring_empty_descs"].push_back(sample.xsk.statistics.rx_fill_ring_empty_descs);
    }
  }
  json counters{{"sent", totals_.sent},
                {"page_pool_state_hold", totals_.pool_holds},
                {"page_pool_state_release", totals_.pool_releases},
                {"polls", totals_.polls},
                {"poll_work", totals_.poll_work},
                {"devmap_sent", totals_.devmap_sent},
                {"devmap_drops", totals_.devmap_drops},
                {"redirect_errors", totals_.redirect_errors},
                {"xdp_exceptions", totals_.xdp_exceptions},
                {"mm_page_alloc", totals_.pages_allocated},
                {"mm_page_free", totals_.pages_freed},
                {"mm_page_alloc_zone_locked", totals_.pcp_refilled},
                {"mm_page_pcpu_drain", totals_.pcp_drained}};
  result["counters"] = counters;
  result["skb_drops"] = json::object();
  for (int reason = 0; reason < LAB_REASONS; ++reason) {
    if (totals_.skb_drops[reason] != 0) {
      result["skb_drops"][std::to_string(reason)] = totals_.skb_drops[reason];
    }
  }
  result["missing"] = probes_->missing();
  result["peak_held"] = totals_.peak_held;
  result["timer"] = {{"time_ns", json::array()}, {"held", json::array()}};
  for (const PageLevels& levels : probes_->timer_samples()) {
    result["timer"]["time_ns"].push_back(levels.time_ns - begin_ns_);
    result["timer"]["held"].push_back(levels.held);
  }
  result["account_ns"] = account_ns_;
  result["host"] = {{"total", host_.total}, {"stolen", host_.stolen}};
  result["costs"] = json::object();
  for (const ProbeCost& cost : costs_) {
    result["costs"][cost.name] = {{"runs", cost.runs}, {"time_ns", cost.time_ns}};
  }
  if (agent_) {
    result["agent"] = agent_->report(begin_ns_);
  }
  return result.dump();
}

}  // namespace rxpool::lab
