#pragma once
// What keeps threads of the guest waiting: a CPU that is taken, and where they may run.

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
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
