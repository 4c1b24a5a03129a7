#include "tests/oracles/reference_memory.hpp"

#include <algorithm>

namespace rxpool::oracle {

// --- the host's allocator ---

std::vector<int> HostModel::zone_order(int nid) const {
  std::vector<int> order{nid};
  for (int node = 0; node < static_cast<int>(zones.size()); ++node) {
    if (node != nid) order.push_back(node);
  }
  return order;
}

int HostModel::pages_to_take(const ZoneModel& zone, PcpModel& pcp) const {
  if (!auto_tuning) return zone.batch;
  pcp.high = std::max(zone.high_min, std::min(pcp.high, zone.high_max));
  if (pcp.high < zone.batch) return 1;
  int wanted = zone.batch;
  for (int i = 0; i < pcp.alloc_factor; ++i) wanted *= 2;
  if (zone.high_min != zone.high_max && !zone.below_high) pcp.high = std::min(pcp.high + wanted, zone.high_max);
  const int room = std::max(pcp.high - pcp.count() - zone.batch, zone.batch);
  if (wanted <= room) pcp.alloc_factor = std::min(pcp.alloc_factor + 1, 5);
  wanted = std::min(wanted, room);
  return wanted > 1 ? std::max(wanted, 2) : wanted;
}

Handle HostModel::pop(ZoneModel& zone, int cpu) {
  PcpModel& pcp = zone.pcp[cpu];
  if (pcp.pages.empty()) {
    for (int n = pages_to_take(zone, pcp); n > 0 && zone.free > 0; --n) {
      --zone.free;
      node_of[next_handle] = zone.node;
      pcp.pages.push_back(next_handle++);
    }
    if (pcp.pages.empty()) return none;
  }
  pcp.used = true;
  const Handle page = pcp.pages.front();
  pcp.pages.pop_front();
  references[page] = 1;
  return page;
}

Handle HostModel::alloc_page(int cpu, int nid) {
  // First against the low mark, then (the slow path of an atomic request) against 3/8 of min.
  for (const bool slow : {false, true}) {
    for (const int index : zone_order(nid)) {
      ZoneModel& zone = zones[index];
      const auto above = [&](long mark) {
        if (slow) {
          mark -= mark / 2;
          mark -= mark / 4;
        }
        return zone.free > mark;
      };
      bool fine = false;
      if (!zone.below_high) {
        fine = above(zone.high);
        zone.below_high = !fine;
      }
      if (!fine && !above(slow ? zone.min : zone.low)) continue;
      zone.pcp[cpu].free_count /= 2;
      zone.pcp[cpu].free_factor /= 2;
      Handle page = pop(zone, cpu);
      if (page != none) return page;
    }
  }
  return none;
}

std::vector<Handle> HostModel::alloc_bulk(int cpu, int nid, int wanted) {
  std::vector<Handle> got;
  ZoneModel& zone = zones[nid];
  if (wanted > 1 && zone.free > zone.low + wanted) {
    while (static_cast<int>(got.size()) < wanted) {
      const Handle page = pop(zone, cpu);
      if (page == none) break;
      got.push_back(page);
    }
  }
  if (got.empty()) {
    const Handle page = alloc_page(cpu, nid);
    if (page != none) got.push_back(page);
  }
  return got;
}

void HostModel::flush(ZoneModel& zone, PcpModel& pcp, int n) {
  for (n = std::min(n, pcp.count()); n > 0; --n) {
    returned_to_buddy.insert(pcp.pages.back());
    node_of.erase(pcp.pages.back());
    pcp.pages.pop_back();
    ++zone.free;
  }
}

int HostModel::pages_to_flush(const ZoneModel& zone, PcpModel& pcp) const {
  int threshold = 0;
  int amount = 0;
  if (!auto_tuning) {
    threshold = pcp.high;
    if (pcp.count() < threshold) return 0;
    const int most = threshold - zone.batch;
    amount = zone.batch;
    for (int i = 0; i < pcp.free_factor; ++i) amount *= 2;
    if (amount <= most) pcp.free_factor = std::min(pcp.free_factor + 1, 5);
    return std::max(zone.batch, std::min(amount, most));
  }
  pcp.high = std::max(zone.high_min, std::min(pcp.high, zone.high_max));
  threshold = pcp.high;
  if (zone.high_min != zone.high_max) {
    if (zone.below_high) {
      pcp.high = std::max(pcp.high - std::max(pcp.free_count, zone.batch), zone.high_min);
      threshold = std::max(pcp.count(), zone.high_min);
    } else if (pcp.count() >= threshold && pcp.high < pcp.free_count + zone.batch) {
      pcp.high = std::max(zone.high_min, std::min(pcp.free_count + zone.batch, zone.high_max));
    }
  }
  if (pcp.count() < threshold) return 0;
  return std::max(zone.batch, std::min(pcp.free_count, threshold - zone.batch));
}

void HostModel::put_page(int cpu, Handle page) {
  if (--references[page] > 0) return;
  references.erase(page);
  ZoneModel& zone = zones[node_of[page]];
  PcpModel& pcp = zone.pcp[cpu];
  pcp.used = true;
  pcp.alloc_factor /= 2;
  pcp.pages.push_front(page);
  if (auto_tuning && pcp.free_count < zone.batch * 32) ++pcp.free_count;
  const int n = pages_to_flush(zone, pcp);
  if (n > 0) {
    flush(zone, pcp, n);
    if (zone.below_high && zone.free > zone.high) zone.below_high = false;
  }
}

void HostModel::vmstat_tick(int cpu, int cpu_node) {
  for (ZoneModel& zone : zones) {
    PcpModel& pcp = zone.pcp[cpu];
    if (auto_tuning) {
      if (pcp.high > zone.high_min) {
        pcp.high = std::max({pcp.count() - zone.batch * 32, pcp.high - pcp.high / 8, zone.high_min});
      }
      if (pcp.count() > pcp.high) flush(zone, pcp, pcp.count() - pcp.high);
    }
    if (pcp.used) pcp.expire = 3;
    pcp.used = false;
    if (pcp.expire == 0 || pcp.pages.empty()) continue;
    if (zone.node == cpu_node) {
      pcp.expire = 0;
    } else if (--pcp.expire == 0) {
      flush(zone, pcp, zone.batch);
    }
  }
}

// --- one pool ---

bool PoolModel::direct_allowed(int cpu, bool in_softirq) const {
  return in_softirq && has_napi && !destroyed && list_owner == cpu;
}

// A slot is free for the producer when it holds no live entry and is not waiting to be cleared.
bool PoolModel::ring_push(Handle page) {
  if (ring.size() + consumed_uncleared == ring_size) return false;
  ring.push_back(page);
  return true;
}

Handle PoolModel::ring_pop() {
  if (ring.empty()) return none;
  const Handle page = ring.front();
  ring.pop_front();
  ++consumed_uncleared;
  ++consume_position;
  const std::size_t batch = ring_size < 32 ? 1 : 16;
  if (consumed_uncleared >= batch || consume_position == ring_size) consumed_uncleared = 0;
  if (consume_position == ring_size) consume_position = 0;
  return page;
}

void PoolModel::leave(int cpu, Handle page) {
  ++release;
  users.erase(page);
  host->put_page(cpu, page);
}

Handle PoolModel::alloc(int cpu, int cpu_node) {
  if (!cache.empty()) {
    ++stats["fast"];
  } else {
    if (ring.empty()) {
      ++stats["empty"];
    } else {
      const int wanted_node = nid < 0 ? cpu_node : nid;
      while (cache.size() < 64) {
        const Handle page = ring_pop();
        if (page == none) break;
        if (host->node_of[page] != wanted_node) {
          leave(cpu, page);
          ++stats["waive"];
          break;
        }
        cache.push_back(page);
      }
      if (!cache.empty()) ++stats["refill"];
    }
    if (cache.empty()) {
      for (const Handle page : host->alloc_bulk(cpu, nid < 0 ? cpu_node : nid, 64)) {
        cache.push_back(page);
        users[page] = 1;
        ++hold;
      }
      if (cache.empty()) return none;
      ++stats["slow"];
    }
  }
  const Handle page = cache.back();
  cache.pop_back();
  return page;
}

bool PoolModel::drop_users(Handle page, long n) {
  users[page] -= n;
  if (users[page] > 0) return false;
  users[page] = 1;
  return true;
}

void PoolModel::put(int cpu, bool in_softirq, Handle page, bool allow_direct) {
  if (host->references[page] != 1) {
    ++stats["released_refcnt"];
    leave(cpu, page);
    return;
  }
  if (allow_direct || direct_allowed(cpu, in_softirq)) {
    if (cache.size() < 128) {
      cache.push_back(page);
      ++stats["cached"];
      return;
    }
    ++stats["cache_full"];
  }
  if (ring_push(page)) {
    ++stats["ring"];
  } else {
    ++stats["ring_full"];
    leave(cpu, page);
  }
}

void PoolModel::put_bulk(int cpu, bool in_softirq, const std::vector<Handle>& pages) {
  const bool direct = direct_allowed(cpu, in_softirq);
  std::vector<Handle> for_ring;
  for (const Handle page : pages) {
    if (host->references[page] != 1) {
      ++stats["released_refcnt"];
      leave(cpu, page);
    } else if (direct && cache.size() < 128) {
      cache.push_back(page);
      ++stats["cached"];
    } else {
      if (direct) ++stats["cache_full"];
      for_ring.push_back(page);
    }
  }
  bool full = false;
  for (const Handle page : for_ring) {
    full = full || !ring_push(page);
    if (full) {
      leave(cpu, page);
    } else {
      ++stats["ring"];
    }
  }
  if (full) ++stats["ring_full"];
}

void PoolModel::change_nid(int cpu, int new_nid) {
  if (new_nid == nid) return;
  nid = new_nid;
  while (!cache.empty()) {
    const Handle page = cache.back();
    cache.pop_back();
    leave(cpu, page);
  }
}

bool PoolModel::destroy(int cpu) {
  if (!destroyed) {
    while (!cache.empty()) {
      const Handle page = cache.back();
      cache.pop_back();
      leave(cpu, page);
    }
  }
  destroyed = true;
  for (Handle page = ring_pop(); page != none; page = ring_pop()) leave(cpu, page);
  return inflight() == 0;
}

}  // namespace rxpool::oracle
