#include "kernel/live/system.hpp"

#include <ctime>
#include <fstream>

namespace rxpool {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr int stolen_column = 7;  // after user, nice, system, idle, iowait, irq, softirq; guests are in user

std::int64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * second_ns + time.tv_nsec;
}

}  // namespace

std::int64_t now_ns() {
  return read_clock_ns(CLOCK_MONOTONIC);
}

std::int64_t thread_cpu_ns() {
  return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void sleep_until_ns(std::int64_t time_ns) {
  const timespec until{.tv_sec = time_ns / second_ns, .tv_nsec = time_ns % second_ns};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

CpuTime cpu_time() {
  std::ifstream file("/proc/stat");
  std::string label;
  file >> label;
  CpuTime time;
  for (int column = 0; column <= stolen_column; ++column) {
    std::uint64_t ticks = 0;
    file >> ticks;
    time.total += ticks;
    time.stolen = ticks;
  }
  return time;
}

}  // namespace rxpool
