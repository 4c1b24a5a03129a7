#include "kernel/attach/attachment.hpp"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernel/attach/consent.hpp"
#include "kernel/attach/netdev_pools.hpp"
#include "kernel/live/system.hpp"

namespace rxpool::attach {
namespace {

constexpr std::int64_t settle_ns = 300'000'000;        // a driver that made new rings takes its link up again
constexpr std::int64_t sign_of_life_ns = 100'000'000;  // between two of them

volatile std::sig_atomic_t asked_to_end = 0;

// Name of the device that the driver maps pages for: that of the interface, or its parent (virtio). One without
// hardware is its own.
std::string device_name(const std::string& interface, int parents) {
  std::error_code error;
  auto path = std::filesystem::canonical("/sys/class/net/" + interface + "/device", error);
  for (int i = 0; i < parents; ++i) {
    path = path.parent_path();
  }
  return error ? interface : path.filename().string();
}

nlohmann::json readable(const NicSettings& settings) {
  nlohmann::json json = nlohmann::json::object();
  if (settings.rings) {
    json["rx_ring"] = settings.rings->rx_pending;
  }
  if (settings.channels) {
    json["rx_queues"] = settings.channels->combined_count + settings.channels->rx_count;
  }
  if (settings.coalescing) {
    json["rx_coalesce_usecs"] = settings.coalescing->rx_coalesce_usecs;
  }
  if (settings.rss) {
    json["rss_indirection"] = settings.rss->indirection.size();
  }
  json["ntuple_rules"] = settings.rules.size();
  return json;
}

}  // namespace

AttachPlan read_attach_plan(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(path + ": cannot be read");
  }
  const auto json = nlohmann::json::parse(file);
  AttachPlan plan;
  json.at("interface").get_to(plan.interface);
  json.at("duration_ms").get_to(plan.duration_ms);
  const auto optional = [&](const char* key, auto& value) {
    if (json.contains(key)) {
      json[key].get_to(value);
    }
  };
  optional("sample_us", plan.sample_us);
  optional("packets", plan.packets);
  optional("rx_ring", plan.rx_ring);
  optional("rx_queues", plan.rx_queues);
  optional("policy", plan.policy);
  optional("params", plan.params);
  optional("state", plan.state);
  optional("dead_man_s", plan.dead_man_s);
  return plan;
}

Attachment::Attachment(const AttachPlan& plan, const std::string& object_path) : plan_(plan), nic_(plan.interface) {
  if (const std::string why = refusal(plan.interface); !why.empty()) {
    throw std::runtime_error(why + ": it is not touched");
  }
  // First, so that the guardian has nothing of the probes.
  lease_ = std::make_unique<Lease>(nic_, plan.state, static_cast<std::int64_t>(plan.dead_man_s * 1e9));
  load(object_path);
  nic_.set_rx_queues(plan.rx_queues);
  nic_.set_rx_ring(plan.rx_ring);
  attach();
}

Attachment::~Attachment() {
  close(link_);
  bpf_object__close(object_);
}

int Attachment::program(const char* name) const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
}

void Attachment::load(const std::string& object_path) {
  libbpf_set_print(nullptr);
  object_ = bpf_object__open_file(object_path.c_str(), nullptr);
  if (object_ == nullptr) {
    throw std::runtime_error(object_path + ": " + std::strerror(errno));
  }
  packets_room_ = std::max<std::uint64_t>(plan_.packets, 1);
  bpf_map* packets = bpf_object__find_map_by_name(object_, "packets");
  bpf_map__set_max_entries(packets, static_cast<std::uint32_t>(packets_room_));
  if (bpf_object__load(object_) != 0) {
    fail("the probes cannot be loaded (needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN)");
  }
  const auto map_memory = [](const bpf_map* map, std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED) {
      fail("mapping the probes' memory");
    }
    return memory;
  };
  packets_ = static_cast<const char*>(map_memory(packets, packets_room_ * sizeof(AttachPacket)));
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_) {
    if (std::string(bpf_map__name(map)).ends_with(".bss")) {
      shared_ = static_cast<AttachShared*>(map_memory(map, bpf_map__value_size(map)));
    }
  }
  shared_->control.packets = plan_.packets;
  shared_->control.verdict = plan_.policy == "drop" ? XDP_DROP : XDP_PASS;
  for (int i = 0; i < 2; ++i) {
    std::strncpy(shared_->control.devices[i], device_name(nic_.name(), i).c_str(), ATTACH_NAME - 1);
  }
  bpf_program* candidate = nullptr;
  bpf_object__for_each_program(candidate, object_) {
    const std::string section = bpf_program__section_name(candidate);
    if (section.starts_with("tp_btf/") && bpf_program__attach(candidate) == nullptr) {
      missing_.push_back(section.substr(7) + ": " + std::strerror(errno));
    }
  }
  if (plan_.policy != "pass" && plan_.policy != "drop") {
    policy_.emplace(plan_.policy, plan_.params);
    const std::uint32_t key = 0;
    const int next = policy_->xdp_program();
    const int chain = bpf_map__fd(bpf_object__find_map_by_name(object_, "policy"));
    if (bpf_map_update_elem(chain, &key, &next, BPF_ANY) != 0) {
      fail("the policy behind the recorder");
    }
  }
}

// By a link, which is gone with this process; in the driver, because only there the pages are the pool's.
void Attachment::attach() {
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = XDP_FLAGS_DRV_MODE;
  link_ = bpf_link_create(program("record"), nic_.index(), BPF_XDP, &options);
  if (link_ < 0) {
    errno = -link_;
    fail(nic_.name() + ": an XDP link in the driver");
  }
}

void Attachment::sample() {
  const std::uint32_t count = std::min<std::uint32_t>(shared_->counters.pools, ATTACH_POOLS);
  while (pools_.size() < count) {
    pools_.push_back({.slot = static_cast<std::uint32_t>(pools_.size()), .levels = {}});
  }
  for (Pool& pool : pools_) {
    if (shared_->pools[pool.slot].gone != 0) {
      continue;
    }
    shared_->control.pool = pool.slot;
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    if (bpf_prog_test_run_opts(program("snapshot"), &options) != 0) {
      fail("the snapshot program");
    }
    if (shared_->pools[pool.slot].gone == 0) {  // else it may have read what was no pool any more
      PageLevels levels = median_levels(shared_->latest);
      levels.time_ns -= begin_ns_;
      pool.levels.push_back(levels);
    }
  }
}

std::map<std::string, std::uint64_t> Attachment::counters() const {
  std::map<std::string, std::uint64_t> values;
  for (const auto& [name, value] : nic_.counters()) {
    values["ethtool." + name] += value;  // some drivers name a counter once per queue
  }
  for (const auto& file : std::filesystem::directory_iterator("/sys/class/net/" + nic_.name() + "/statistics")) {
    std::uint64_t value = 0;
    if (std::ifstream(file.path()) >> value) {
      values["statistics." + file.path().filename().string()] = value;
    }
  }
  return values;
}

nlohmann::json Attachment::run(const std::string& packets_path) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(number, [](int) { asked_to_end = 1; });
  }
  sleep_until_ns(now_ns() + settle_ns);
  const NicSettings during = nic_.settings();
  const auto before = counters();
  begin_ns_ = now_ns();
  shared_->control.begin_ns = static_cast<std::uint64_t>(begin_ns_);
  const auto period_ns = static_cast<std::int64_t>(plan_.sample_us * 1000);
  const std::int64_t end_ns = begin_ns_ + static_cast<std::int64_t>(plan_.duration_ms * 1e6);
  std::int64_t signed_ns = 0;
  for (std::int64_t next = begin_ns_; next <= end_ns && asked_to_end == 0;
       next = std::max(next + period_ns, now_ns())) {
    sleep_until_ns(next);
    sample();
    if (now_ns() - signed_ns > sign_of_life_ns) {
      lease_->renew();
      signed_ns = now_ns();
    }
  }
  const std::int64_t ended_ns = now_ns();
  const NetdevPools listed = netdev_pools(nic_.index());
  const auto after = counters();
  const nlohmann::json pools = pools_report();  // a driver may end its pools with the program
  write_packets(packets_path);
  close(link_);
  link_ = -1;
  const NicSettings saved = lease_->saved();
  const std::vector<std::string> lost = lease_->give_back();

  nlohmann::json result{{"interface", nic_.name()},
                        {"duration_ns", ended_ns - begin_ns_},
                        {"seen", shared_->counters.seen},
                        {"recorded", std::min<std::uint64_t>(shared_->counters.seen, plan_.packets)},
                        {"settings", {{"before", readable(saved)}, {"during", readable(during)}}},
                        {"not_restored", lost},
                        {"pools", pools},
                        {"counters", nlohmann::json::object()}};
  result["settings"]["after"] = readable(nic_.settings());
  for (const auto& [name, value] : after) {
    const auto found = before.find(name);
    if (found != before.end() && found->second != value) {
      result["counters"][name] = value - found->second;
    }
  }
  std::vector<std::string> missing = missing_;
  if (pools_.empty()) {
    missing.push_back("page_pool: no pool of this NIC took a page while it was watched");
  }
  if (!listed.missing.empty()) {
    missing.push_back(listed.missing);
  }
  result["missing"] = missing;
  result["netdev_pools"] = nlohmann::json::array();
  for (const NetdevPool& pool : listed.pools) {
    result["netdev_pools"].push_back({{"id", pool.id}, {"inflight", pool.inflight}, {"statistics", pool.counts}});
  }
  return result;
}

nlohmann::json Attachment::pools_report() const {
  nlohmann::json pools = nlohmann::json::array();
  for (const Pool& pool : pools_) {
    nlohmann::json one{{"page_pool_state_hold", shared_->pools[pool.slot].holds},
                       {"gone", shared_->pools[pool.slot].gone != 0},
                       {"time_ns", nlohmann::json::array()}};
    for (const char* name : {"outside", "inflight", "pool_cache", "pool_ring"}) {
      one[name] = nlohmann::json::array();
    }
    for (const PageLevels& levels : pool.levels) {
      one["time_ns"].push_back(levels.time_ns);
      one["outside"].push_back(levels.held);
      one["inflight"].push_back(levels.inflight);
      one["pool_cache"].push_back(levels.cache);
      one["pool_ring"].push_back(levels.ring);
    }
    pools.push_back(one);
  }
  return pools;
}

void Attachment::write_packets(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  const std::uint64_t count = std::min<std::uint64_t>(shared_->counters.seen, plan_.packets);
  file.write(packets_, static_cast<std::streamsize>(count * sizeof(AttachPacket)));
  file.flush();
  if (!file) {
    throw std::runtime_error(path + ": cannot be written");
  }
}

}  // namespace rxpool::attach
