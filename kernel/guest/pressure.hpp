#pragma once
// What makes the guest short of CPU time or memory for as long as an object lives.

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "kernel/guest/frames.hpp"

namespace rxpool::guest {

/// Keeps ordinary threads off a CPU.
class Spinner {
 public:
  explicit Spinner(int cpu) {
    thread_ = std::thread([this, cpu] {
      run_on(cpu);
      const sched_param param{.sched_priority = 1};
      pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
      spins_ = true;
      while (!stop_) {
      }
    });
    while (!spins_) {
      usleep(1000);
    }
  }
  ~Spinner() {
    stop_ = true;
    thread_.join();
  }
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

 private:
  std::atomic<bool> spins_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// Changes one of vm's settings; puts it back by a write that needs no memory of its own.
class VmSetting {
 public:
  VmSetting(const std::string& name, std::uint64_t value)
      : fd_(check(open(("/proc/sys/vm/" + name).c_str(), O_RDWR), name)) {
    const std::string wanted = std::to_string(value);
    if (pread(fd_, before_, sizeof(before_) - 1, 0) <= 0 || pwrite(fd_, wanted.data(), wanted.size(), 0) < 0) {
      fail(name);
    }
  }
  ~VmSetting() {
    while (pwrite(fd_, before_, std::strlen(before_), 0) < 0) {
    }
    close(fd_);
  }
  VmSetting(const VmSetting&) = delete;
  VmSetting& operator=(const VmSetting&) = delete;

 private:
  int fd_;
  char before_[32] = {};
};

/// MemFree of /proc/meminfo.
inline std::uint64_t free_kib() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::uint64_t kib = 0;
  while (file >> word) {
    if (word == "MemFree:" && file >> kib) {
      return kib;
    }
  }
  throw std::runtime_error("/proc/meminfo has no MemFree");
}

/// Threads of the kernel whose names begin so run on one CPU.
inline void pin_threads(const std::string& beginning, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  DIR* processes = opendir("/proc");
  while (const dirent* entry = readdir(processes)) {
    std::ifstream name(std::string("/proc/") + entry->d_name + "/comm");
    std::string text;
    if (name && std::getline(name, text) && text.starts_with(beginning)) {
      check(sched_setaffinity(std::atoi(entry->d_name), sizeof(set), &set), "pinning " + text);
    }
  }
  closedir(processes);
}

}  // namespace rxpool::guest
