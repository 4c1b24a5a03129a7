#include "kernel/lab/probes.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

Probes::Probes(const std::string& object_path, const std::string& schedule_path) {
  quiet();
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    throw Unavailable("the kernel has no BTF (/sys/kernel/btf/vmlinux); the probes need it");
  }
  const int file = open(schedule_path.c_str(), O_RDONLY);
  struct stat info{};
  if (file < 0 || fstat(file, &info) != 0 || info.st_size < 8) {
    throw std::runtime_error(schedule_path + ": cannot be read");
  }
  entries_ = static_cast<std::uint64_t>(info.st_size) / 8;
  object_ = bpf_object__open_file(object_path.c_str(), nullptr);
  if (object_ == nullptr) {
    throw std::runtime_error(object_path + ": " + reason());
  }
  bpf_map* schedule = bpf_object__find_map_by_name(object_, "schedule");
  bpf_map__set_max_entries(schedule, static_cast<std::uint32_t>(entries_));
  if (bpf_object__load(object_) != 0) {
    throw Unavailable("the probes cannot be loaded (needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN): " + reason());
  }
  void* entries = mmap(nullptr, entries_ * 8, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(schedule), 0);
  if (entries == MAP_FAILED || pread(file, entries, entries_ * 8, 0) != static_cast<ssize_t>(entries_ * 8)) {
    throw std::runtime_error("the schedule cannot be copied: " + reason());
  }
  schedule_ = static_cast<const char*>(entries);
  close(file);
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
  bpf_object__close(object_);
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
