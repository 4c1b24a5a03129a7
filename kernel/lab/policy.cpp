#include "kernel/lab/policy.hpp"

#include <linux/if_link.h>
#include <sys/mman.h>

#include <cerrno>
#include <numeric>

#include "kernel/lab/reader.hpp"

namespace rxpool::lab {
namespace {

// The entry's thread exists from here on; like every thread of the lab that works it runs before the host's others.
void make_remote_cpu(Probes& probes, const RemoteCpu& remote, int map, int program) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  bpf_cpumap_val value{};
  value.qsize = remote.qsize;
  value.bpf_prog.fd = program;  // -1: none
  if (bpf_map_update_elem(map, &remote.cpu, &value, BPF_ANY) != 0 || bpf_obj_get_info_by_fd(map, &info, &size) != 0) {
    fail("a cpumap entry for CPU " + std::to_string(remote.cpu));
  }
  probes.control().remote_cpu = remote.cpu;
  probes.control().cpu_map = static_cast<std::int32_t>(info.id);
  const std::string name = "cpumap/" + std::to_string(remote.cpu) + "/map:" + std::to_string(info.id);
  for (const int thread : threads_called(name)) {
    go_before_others(Urgency::works, thread);
  }
}

}  // namespace

LabPolicy::LabPolicy(const Plan& plan, Probes& probes) {
  const std::string& name = plan.policy;
  const RemoteCpu& remote = plan.remote;
  if (name == "pass" || name == "drop" || name == "to_cpu" || name == "to_xsk") {
    program_ = probes.program(name.c_str());
  } else {
    object_.emplace(name, plan.params);
    program_ = object_->xdp_program();
    share_maps(name);
  }
  if (remote.qsize == 0) {
    return;
  }
  const bpf_map* own = object_ ? object_->map(remote.map) : nullptr;
  if (object_ && (own == nullptr || bpf_map__type(own) != BPF_MAP_TYPE_CPUMAP)) {
    throw std::runtime_error(name + " has no cpumap '" + remote.map + "'");
  }
  make_remote_cpu(probes, remote, own != nullptr ? bpf_map__fd(own) : probes.map("cpus"),
                  object_ && !remote.program.empty() ? object_->program(remote.program) : -1);
}

void LabPolicy::share_maps(const std::string& name) {
  if (const bpf_map* map = object_->map("rxpool_signal")) {
    const std::size_t bytes = sizeof(bpf::Signal) * bpf_map__max_entries(map);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED) {
      fail("mapping the signal of " + name);
    }
    signal_ = static_cast<bpf::Signal*>(memory);
  }
  if (const bpf_map* map = object_->map("verdicts")) {
    verdicts_ = bpf_map__fd(map);
    per_cpu_.resize(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  }
}

void LabPolicy::attach(int ifindex) const {
  const int error = bpf_xdp_attach(ifindex, program_, XDP_FLAGS_DRV_MODE, nullptr);
  if (error != 0) {
    errno = -error;
    fail("attaching the policy");
  }
}

std::optional<std::uint64_t> LabPolicy::dropped() const {
  const std::uint32_t key = XDP_DROP;
  if (verdicts_ < 0 || bpf_map_lookup_elem(verdicts_, &key, per_cpu_.data()) != 0) {
    return std::nullopt;
  }
  return std::accumulate(per_cpu_.begin(), per_cpu_.end(), std::uint64_t{0});
}

}  // namespace rxpool::lab
