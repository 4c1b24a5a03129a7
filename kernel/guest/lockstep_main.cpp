// rxpool-lockstep LOG [MAJOR.MINOR]: replays a page_pool log of the guest and prints what was compared. Exit code 0:
// equal after every call; 1: differences; 2: bad arguments or log.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "kernel/guest/lockstep.hpp"
#include "sim/error.hpp"

namespace {

int replay(const char* path, rxpool::KernelRelease release) {
  const int fd = open(path, O_RDONLY);
  struct stat info{};
  if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0) {
    throw rxpool::InputError(std::string(path) + ": cannot be read");
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) {
    throw rxpool::InputError(std::string(path) + ": cannot be mapped");
  }
  rxpool::guest::Lockstep lockstep(release, 2);
  const auto report = lockstep.replay({static_cast<const std::uint8_t*>(data), size});
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  for (const auto& [rule, times] : report.rules.table()) {
    std::printf("%12llu  %s\n", number(times), rule.c_str());
  }
  std::printf("operations %llu: %llu compared right after the call, %llu overlapping calls when their pool was quiet\n",
              number(report.operations), number(report.exact), number(report.settled));
  std::printf("pools %llu, pages followed by name %llu, calls on pools older than the log %llu\n", number(report.pools),
              number(report.pages_bound), number(report.foreign));
  std::printf("calls let in beside another CPU's %llu; on pools whose order the log does not know %llu\n",
              number(report.beside), number(report.set_aside));
  for (const std::string& difference : report.first_differences) {
    std::printf("difference: %s\n", difference.c_str());
  }
  std::printf("differences %llu\n", number(report.differences));
  return report.differences == 0 ? 0 : 1;
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
