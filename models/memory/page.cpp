#include "models/memory/page.hpp"

#include "sim/error.hpp"

namespace rxpool {

const char* to_string(PagePlace place) {
  static constexpr const char* names[page_place_count] = {"zone_free", "pcp",    "pool_cache", "pool_ring", "posted",
                                                          "stack",     "socket", "user_ring",  "other"};
  return names[static_cast<unsigned>(place)];
}

void page_bug(const char* what) {
  throw BugError(what);
}

}  // namespace rxpool
