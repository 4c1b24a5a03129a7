#include "models/memory/reserved_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "sim/error.hpp"

namespace rxpool {

ReservedMemory::ReservedMemory(std::size_t bytes)
    : base_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
      bytes_(bytes) {
  if (base_ == MAP_FAILED) {
    throw InputError("memory: cannot reserve " + std::to_string(bytes >> 20) +
                         " MiB of address space for what is known of each page; simulate less memory or raise the "
                         "limit on address space (ulimit -v)",
                     ExitCode::limit);
  }
}

ReservedMemory::~ReservedMemory() {
  munmap(base_, bytes_);
}

std::size_t ReservedMemory::resident_bytes() const {
  const auto host_page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes_ + host_page - 1) / host_page);
  if (mincore(base_, bytes_, resident.data()) != 0)
    throw BugError("reserved memory: mincore failed on our own mapping");
  std::size_t touched = 0;
  for (const unsigned char entry : resident) touched += entry & 1U;
  return touched * host_page;
}

}  // namespace rxpool
