#pragma once
// A second, plain implementation of page_pool and per-CPU page lists, written from the rules (PP-10..54, PA-10..26,
// PA-30..34, PA-44) for clearness and without regard to speed: containers of handles instead of rings and linked lists,
// the buddy lists as a mere count. It is compared with models/memory after every operation of long random sequences.
// Only order 0, unmovable, atomic requests. A handle stands for a page from the moment it leaves the buddy lists until
// it returns to them, so the order in which pages come out of cache, ring and per-CPU list is compared too.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace rxpool::oracle {

using Handle = std::uint64_t;
inline constexpr Handle none = 0;

struct PcpModel {
  int count() const { return static_cast<int>(pages.size()); }
  std::deque<Handle> pages;  // front = hot end
  int high = 0, alloc_factor = 0, free_count = 0, free_factor = 0, expire = 0;
  bool used = false;
};

struct ZoneModel {
  int node = 0;
  long free = 0;
  long min = 0, low = 0, high = 0;
  int batch = 0, high_min = 0, high_max = 0;
  bool below_high = false;
  std::vector<PcpModel> pcp;
};

struct HostModel {
  bool auto_tuning = true;
  std::vector<ZoneModel> zones;  // one per node
  Handle next_handle = 1;
  std::map<Handle, int> node_of;
  std::map<Handle, int> references;
  std::set<Handle> returned_to_buddy;  // handles that died in the last operation

  Handle alloc_page(int cpu, int nid);
  std::vector<Handle> alloc_bulk(int cpu, int nid, int wanted);
  void put_page(int cpu, Handle page);
  void vmstat_tick(int cpu, int cpu_node);

 private:
  std::vector<int> zone_order(int nid) const;
  Handle pop(ZoneModel& zone, int cpu);
  int pages_to_take(const ZoneModel& zone, PcpModel& pcp) const;
  int pages_to_flush(const ZoneModel& zone, PcpModel& pcp) const;
  void flush(ZoneModel& zone, PcpModel& pcp, int n);
};

struct PoolModel {
  HostModel* host = nullptr;
  int nid = -1;
  bool has_napi = true;
  int list_owner = -1;  // of the NAPI
  std::size_t ring_size = 0;
  std::vector<Handle> cache;  // back = top

  // The ring as the kernel's user sees it: entries, plus consumed slots that are not yet free.
  std::deque<Handle> ring;
  std::size_t consumed_uncleared = 0;
  std::size_t consume_position = 0;

  std::map<Handle, long> users;  // fragment counts of pages of this pool
  std::map<std::string, unsigned long> stats;
  long hold = 0, release = 0;
  bool destroyed = false;

  Handle alloc(int cpu, int cpu_node);
  bool drop_users(Handle page, long n);
  void put(int cpu, bool in_softirq, Handle page, bool allow_direct);
  void put_bulk(int cpu, bool in_softirq, const std::vector<Handle>& pages);  // all of this pool, already last users
  void change_nid(int cpu, int nid);
  bool destroy(int cpu);
  long inflight() const { return hold - release; }

 private:
  bool direct_allowed(int cpu, bool in_softirq) const;
  bool ring_push(Handle page);
  Handle ring_pop();
  void leave(int cpu, Handle page);
};

}  // namespace rxpool::oracle
