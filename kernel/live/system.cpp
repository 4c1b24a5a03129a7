#include "kernel/live/system.hpp"

#include <ctime>

namespace rxpool {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

}  // namespace

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * second_ns + time.tv_nsec;
}

void sleep_until_ns(std::int64_t time_ns) {
  const timespec until{.tv_sec = time_ns / second_ns, .tv_nsec = time_ns % second_ns};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

}  // namespace rxpool
