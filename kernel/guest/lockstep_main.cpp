// rxpool-lockstep LOG [MAJOR.MINOR]: replays a log of the guest, of its page_pools or of its per-CPU page lists, and
// prints what was compared. Exit code 0: equal after every call; 1: differences; 2: bad arguments or log.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <span>
#include <string>

#include "kernel/guest/list_lockstep.hpp"
#include "kernel/guest/lockstep.hpp"
#include "sim/error.hpp"

namespace {

constexpr std::uint16_t guest_cpus = 2;  // as tools/guest makes them, each on a memory node of its own

unsigned long long number(std::uint64_t value) {
  return value;
}

void print_rules(const std::map<std::string, std::uint64_t>& rules) {
  for (const auto& [rule, times] : rules) {
    std::printf("%12llu  %s\n", number(times), rule.c_str());
  }
}

int conclude(std::uint64_t differences, const std::vector<std::string>& first) {
  for (const std::string& difference : first) {
    std::printf("difference: %s\n", difference.c_str());
  }
  std::printf("differences %llu\n", number(differences));
  return differences == 0 ? 0 : 1;
}

int replay_lists(std::span<const std::uint8_t> log, rxpool::KernelRelease release) {
  const auto report = rxpool::guest::ListLockstep(release).replay(log);
  print_rules(report.rules);
  std::printf("operations %llu, set aside %llu\n", number(report.operations), number(report.set_aside));
  return conclude(report.differences, report.first_differences);
}

int replay_pools(std::span<const std::uint8_t> log, rxpool::KernelRelease release) {
  const auto report = rxpool::guest::Lockstep(release, guest_cpus).replay(log);
  print_rules(report.rules.table());
  std::printf("operations %llu: %llu compared right after the call, %llu overlapping calls when their pool was quiet\n",
              number(report.operations), number(report.exact), number(report.settled));
  std::printf("pools %llu, pages followed by name %llu, calls on pools older than the log %llu\n", number(report.pools),
              number(report.pages_bound), number(report.foreign));
  std::printf(
      "calls let in beside another CPU's %llu; set aside, because the log does not know all calls or their "
      "order, %llu (%llu gaps)\n",
      number(report.beside), number(report.set_aside), number(report.gaps));
  return conclude(report.differences, report.first_differences);
}

int replay(const char* path, rxpool::KernelRelease release) {
  const int fd = open(path, O_RDONLY);
  struct stat info{};
  if (fd < 0 || fstat(fd, &info) != 0 || static_cast<std::size_t>(info.st_size) < sizeof(PoolLogHeader)) {
    throw rxpool::InputError(std::string(path) + ": cannot be read");
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) {
    throw rxpool::InputError(std::string(path) + ": cannot be mapped");
  }
  const std::span<const std::uint8_t> log(static_cast<const std::uint8_t*>(data), size);
  const bool of_lists = reinterpret_cast<const PoolLogHeader*>(log.data())->kind >= LIST_LOG_FREE;
  return of_lists ? replay_lists(log, release) : replay_pools(log, release);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    std::fprintf(stderr, "usage: rxpool-lockstep LOG [MAJOR.MINOR]\n");
    return 2;
  }
  try {
    rxpool::KernelRelease release;
    if (count == 3 && std::sscanf(arguments[2], "%d.%d", &release.major, &release.minor) != 2) {
      throw rxpool::InputError("kernel release: MAJOR.MINOR expected");
    }
    return replay(arguments[1], release);
  } catch (const rxpool::InputError& error) {
    std::fprintf(stderr, "rxpool-lockstep: %s\n", error.what());
    return 2;
  }
}
