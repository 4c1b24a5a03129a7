#pragma once
// The kernel's own list of a NIC's page_pools (generic netlink family `netdev`, page-pool-get and page-pool-stats-get):
// only drivers that name their device to the pool are listed, and statistics need CONFIG_PAGE_POOL_STATS.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rxpool::attach {

struct NetdevPool {
  std::uint32_t id = 0;
  std::uint64_t inflight = 0;                   ///< pages
  std::map<std::string, std::uint64_t> counts;  ///< as ethtool's page_pool statistics name them; empty without
};

struct NetdevPools {
  std::vector<NetdevPool> pools;
  std::string missing;  ///< why there are none, or no statistics; empty if nothing is missing
};

NetdevPools netdev_pools(int interface_index);

}  // namespace rxpool::attach
