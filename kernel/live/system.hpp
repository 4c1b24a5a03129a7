#pragma once
// What lab and attachment need of the system: the error that says what is missing, the clock of the probes, the time of
// the CPUs.

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace rxpool {

/// This kernel, or this user, cannot: says what is missing and for what.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The failed system call by its purpose and errno.
[[noreturn]] inline void fail(const std::string& what) {
  throw Unavailable(what + ": " + std::strerror(errno));
}

/// Nanoseconds of CLOCK_MONOTONIC.
std::int64_t now_ns();
/// Time that the calling thread has had a CPU.
std::int64_t thread_cpu_ns();
void sleep_until_ns(std::int64_t time_ns);

/// Time of all CPUs since boot as /proc/stat has it, in ticks of 10 ms; `stolen` is what the hypervisor gave to others
/// while a CPU of this machine had something to do.
struct CpuTime {
  std::uint64_t total = 0;
  std::uint64_t stolen = 0;
};
CpuTime cpu_time();

}  // namespace rxpool
