#include "kernel/lab/probes.hpp"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "kernel/lab/plan.hpp"

namespace rxpool::lab {
namespace {

std::string reason() {
  return std::strerror(errno);
}

void quiet() {
  libbpf_set_print(nullptr);
}

}  // namespace

Probes::Probes(const std::string& object_path, const std::string& schedule_path, std::size_t ticks) : ticks_(ticks) {
  quiet();
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    throw Unavailable("the kernel has no BTF (/sys/kernel/btf/vmlinux); the probes need it");
  }
  const int file = open(schedule_path.c_str(), O_RDONLY);
  struct stat info{};
  if (file < 0 || fstat(file, &info) != 0) {
    throw std::runtime_error(schedule_path + ": cannot be read");
  }
  entries_ = static_cast<std::uint64_t>(info.st_size) / 8;
  object_ = bpf_object__open_file(object_path.c_str(), nullptr);
  if (object_ == nullptr) {
    throw std::runtime_error(object_path + ": " + reason());
  }
  bpf_map* schedule = bpf_object__find_map_by_name(object_, "schedule");
  const std::size_t places = std::max<std::size_t>(entries_, 1);  // no map is empty
  bpf_map__set_max_entries(schedule, static_cast<std::uint32_t>(places));
  bpf_map* sampled = bpf_object__find_map_by_name(object_, "sampled");
  bpf_map__set_max_entries(sampled, static_cast<std::uint32_t>(ticks_));
  if (bpf_object__load(object_) != 0) {
    throw Unavailable("the probes cannot be loaded (needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN): " + reason());
  }
  void* entries = mmap(nullptr, places * 8, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(schedule), 0);
  if (entries == MAP_FAILED || pread(file, entries, entries_ * 8, 0) != static_cast<ssize_t>(entries_ * 8)) {
    throw std::runtime_error("the schedule cannot be copied: " + reason());
  }
  schedule_ = static_cast<const char*>(entries);
  close(file);
  void* samples = mmap(nullptr, ticks_ * sizeof(PoolSnapshot), PROT_READ, MAP_SHARED, bpf_map__fd(sampled), 0);
  if (samples == MAP_FAILED) {
    throw Unavailable("the timer's samples cannot be mapped: " + reason());
  }
  sampled_ = static_cast<const char*>(samples);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_) {
    if (std::string(bpf_map__name(map)).ends_with(".bss")) {
      void* memory = mmap(nullptr, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
      bss_ = memory == MAP_FAILED ? nullptr : static_cast<LabShared*>(memory);
    }
  }
  if (bss_ == nullptr) {
    throw Unavailable("the probes' memory cannot be mapped: " + reason());
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_) {
    const std::string section = bpf_program__section_name(program);
    if (section.starts_with("tp_btf/") && bpf_program__attach(program) == nullptr) {
      missing_.push_back(section.substr(7) + ": " + reason());
    }
  }
}

void Probes::write_realised(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  file.write(schedule_, static_cast<std::streamsize>(bss_->counters.next * 8));
  file.flush();
  if (!file) {
    throw std::runtime_error(path + ": cannot be written");
  }
}

Probes::~Probes() {
  close(account_);
  bpf_object__close(object_);
}

void Probes::start_timer(int cpu, std::int64_t period_ns) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.sample_period = static_cast<std::uint64_t>(period_ns);
  const auto event = static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
  bpf_program* sample = bpf_object__find_program_by_name(object_, "sample");
  if (event < 0 || bpf_program__attach_perf_event(sample, event) == nullptr) {
    missing_.push_back("cpu-clock: " + reason());
  }
}

std::vector<PageLevels> Probes::timer_samples() const {
  std::vector<PageLevels> levels;
  const std::size_t count = std::min<std::size_t>(bss_->counters.timer_ticks, ticks_);
  for (std::size_t i = 0; i < count; ++i) {
    PoolSnapshot snapshot;
    std::memcpy(&snapshot, sampled_ + i * sizeof(snapshot), sizeof(snapshot));
    levels.push_back(median_levels(snapshot));
  }
  return levels;
}

void Probes::start_account() {
  account_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (account_ < 0) {
    missing_.push_back("run_time_ns: " + reason());
  }
}

std::vector<ProbeCost> Probes::costs() {
  std::vector<ProbeCost> costs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    // What is on the packets' way is generator and verdict, not probe.
    if (bpf_program__type(program) != BPF_PROG_TYPE_XDP &&
        bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 && info.run_cnt != 0) {
      costs.push_back({.name = bpf_program__name(program), .runs = info.run_cnt, .time_ns = info.run_time_ns});
    }
  }
  close(account_);
  account_ = -1;
  return costs;
}

int Probes::program(const char* name) const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_, name));
}

int Probes::map(const char* name) const {
  return bpf_map__fd(bpf_object__find_map_by_name(object_, name));
}

PageLevels Probes::levels() {
  const std::scoped_lock lock(snapshot_);
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  if (bpf_prog_test_run_opts(program("snapshot"), &options) != 0) {
    throw Unavailable("the snapshot program does not run: " + reason());
  }
  return median_levels(bss_->latest);
}

}  // namespace rxpool::lab
