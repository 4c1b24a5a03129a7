#include "kernel/lab/policy.hpp"

#include <bpf/btf.h>
#include <linux/if_link.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <numeric>

#include "kernel/lab/reader.hpp"

namespace rxpool::lab {
namespace {

// Gives the object's `const volatile` variables their values; where they lie is in its type information.
void set_parameters(bpf_object* object, const std::map<std::string, double>& parameters) {
  std::map<std::string, double> left = parameters;
  const btf* types = bpf_object__btf(object);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    const std::size_t dot = name.find(".rodata");
    std::size_t size = 0;
    auto* data = static_cast<char*>(const_cast<void*>(bpf_map__initial_value(map, &size)));
    const int id = dot == std::string::npos ? -1 : btf__find_by_name_kind(types, name.c_str() + dot, BTF_KIND_DATASEC);
    if (data == nullptr || id < 0) {
      continue;
    }
    const btf_type* section = btf__type_by_id(types, static_cast<std::uint32_t>(id));
    const btf_var_secinfo* variables = btf_var_secinfos(section);
    for (int i = 0; i < btf_vlen(section); ++i) {
      const btf_type* variable = btf__type_by_id(types, variables[i].type);
      const auto found = left.find(btf__name_by_offset(types, variable->name_off));
      if (found == left.end() || variables[i].size > sizeof(std::int64_t) ||
          variables[i].offset + variables[i].size > size) {
        continue;
      }
      const auto value = static_cast<std::int64_t>(found->second);  // little endian, as every host of the lab
      std::memcpy(data + variables[i].offset, &value, variables[i].size);
      left.erase(found);
    }
  }
  if (!left.empty()) {
    throw std::runtime_error("the policy has no variable '" + left.begin()->first + "'");
  }
}

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
  if (name == "pass" || name == "drop" || name == "to_cpu") {
    program_ = probes.program(name.c_str());
  } else {
    load(plan);
  }
  if (remote.qsize == 0) {
    return;
  }
  const bpf_map* own = object_ == nullptr ? nullptr : bpf_object__find_map_by_name(object_, remote.map.c_str());
  if (object_ != nullptr && (own == nullptr || bpf_map__type(own) != BPF_MAP_TYPE_CPUMAP)) {
    throw std::runtime_error(name + " has no cpumap '" + remote.map + "'");
  }
  make_remote_cpu(probes, remote, own != nullptr ? bpf_map__fd(own) : probes.map("cpus"),
                  remote.program.empty() ? -1 : program_called(remote.program));
}

void LabPolicy::load(const Plan& plan) {
  const std::string& name = plan.policy;
  object_ = bpf_object__open_file(name.c_str(), nullptr);
  if (object_ == nullptr) {
    throw std::runtime_error("the policy " + name + " cannot be opened");
  }
  set_parameters(object_, plan.params);
  if (bpf_object__load(object_) != 0) {
    fail("the policy " + name + " is not accepted");
  }
  bpf_program* candidate = nullptr;
  bpf_object__for_each_program(candidate, object_) {
    if (program_ < 0 && bpf_program__type(candidate) == BPF_PROG_TYPE_XDP &&
        bpf_program__expected_attach_type(candidate) == BPF_XDP) {
      program_ = bpf_program__fd(candidate);
    }
  }
  if (const bpf_map* map = bpf_object__find_map_by_name(object_, "rxpool_signal")) {
    const std::size_t bytes = sizeof(bpf::Signal) * bpf_map__max_entries(map);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED) {
      fail("mapping the signal of " + name);
    }
    signal_ = static_cast<bpf::Signal*>(memory);
  }
  if (const bpf_map* map = bpf_object__find_map_by_name(object_, "verdicts")) {
    verdicts_ = bpf_map__fd(map);
    per_cpu_.resize(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  }
}

int LabPolicy::program_called(const std::string& name) const {
  const bpf_program* program = object_ == nullptr ? nullptr : bpf_object__find_program_by_name(object_, name.c_str());
  if (program == nullptr) {
    throw std::runtime_error("the policy has no program '" + name + "'");
  }
  return bpf_program__fd(program);
}

LabPolicy::~LabPolicy() {
  bpf_object__close(object_);
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
