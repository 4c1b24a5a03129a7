#include "models/memory/page.hpp"

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

}  // namespace rxpool
