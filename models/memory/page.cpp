#include "models/memory/page.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "sim/error.hpp"

namespace rxpool {

const char* to_string(PagePlace place) {
  static constexpr const char* names[page_place_count] = {"zone_free", "pcp",    "pool_cache", "pool_ring", "posted",
                                                          "stack",     "socket", "tx_ring",    "cpumap",    "user_ring",
                                                          "guest",     "leaked", "other"};
  return names[static_cast<unsigned>(place)];
}

void page_bug(const char* what) {
  throw BugError(what);
}

PageTable::PageTable(std::uint64_t page_count) : page_count_(page_count) {
  void* area = mmap(nullptr, page_count * sizeof(Page), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) {
    throw InputError("memory: cannot reserve address space for the metadata of " + std::to_string(page_count) +
                         " pages; simulate less memory or raise the limit on address space (ulimit -v)",
                     ExitCode::limit);
  }
  base_ = static_cast<Page*>(area);
}

PageTable::~PageTable() {
  munmap(base_, page_count_ * sizeof(Page));
}

std::size_t PageTable::resident_bytes() const {
  const std::size_t host_page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t count = (page_count_ * sizeof(Page) + host_page - 1) / host_page;
  std::vector<unsigned char> resident(count);
  if (mincore(base_, page_count_ * sizeof(Page), resident.data()) != 0) {
    throw BugError("page table: mincore failed on our own mapping");
  }
  std::size_t touched = 0;
  for (const unsigned char entry : resident) {
    touched += entry & 1U;
  }
  return touched * host_page;
}

}  // namespace rxpool
