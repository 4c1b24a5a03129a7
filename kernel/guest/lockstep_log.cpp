// The log in order, and what it does not know.

#include <algorithm>

#include "kernel/guest/lockstep.hpp"
#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

// The kinds of which the probes let in one CPU's at a time.
bool takes_turns(const PoolLogHeader& header) {
  return (header.kind >= POOL_LOG_ALLOC && header.kind <= POOL_LOG_PUT_BULK) || header.kind == POOL_LOG_SCRUB;
}

}  // namespace

bool is_crossing(const PoolLogHeader& header) {
  return header.kind == POOL_LOG_HOLD || header.kind == POOL_LOG_RELEASE;
}

std::vector<Lockstep::Event> Lockstep::read(std::span<const std::uint8_t> log) {
  std::vector<Event> events;
  for (std::size_t at = 0; at + sizeof(PoolLogHeader) <= log.size();) {
    const auto* header = reinterpret_cast<const PoolLogHeader*>(log.data() + at);
    if (header->size == 0) {
      break;
    }
    if (header->size < sizeof(PoolLogHeader) || header->size % 8 != 0 || at + header->size > log.size() ||
        header->kind < POOL_LOG_CREATE || header->kind > POOL_LOG_GAP) {
      throw InputError("page_pool log: no record at byte " + std::to_string(at));
    }
    if (header->kind == POOL_LOG_GAP) {
      gaps_.push_back(header);
      at += header->size;
      continue;
    }
    if (!is_crossing(*header)) {
      events.push_back({.seq = header->enter_seq, .header = header, .enter = true});
    }
    events.push_back({.seq = header->exit_seq, .header = header, .enter = false});
    at += header->size;
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.seq < b.seq; });
  for (std::size_t i = 1; i < events.size(); ++i) {
    if (events[i].seq != events[i - 1].seq + 1 && !in_gap(events[i - 1].seq + 1)) {
      throw InputError("page_pool log: a record is missing after number " + std::to_string(events[i - 1].seq));
    }
  }
  return events;
}

bool Lockstep::in_gap(std::uint64_t seq) const {
  return std::any_of(gaps_.begin(), gaps_.end(),
                     [&](const PoolLogHeader* gap) { return gap->enter_seq <= seq && seq <= gap->exit_seq; });
}

// The call that was not seen may have been on any pool that lived. The pools that the CPUs have since boot live always:
// on theirs it was if they were used at all meanwhile.
void Lockstep::find_incomplete(const std::vector<Event>& events) {
  report_.gaps = gaps_.size();
  struct Life {
    std::uint64_t first = 0, last = 0;
    bool system = false;
  };
  std::map<std::uint32_t, Life> lives;
  for (const Event& event : events) {
    Life& life = lives.try_emplace(event.header->pool, Life{.first = event.seq}).first->second;
    life.last = event.seq;
    life.system = life.system || (event.header->flags & POOL_LOG_SYSTEM) != 0;
    if (life.system && in_gap(event.seq)) {
      unordered_.insert(event.header->pool);
    }
  }
  for (const auto& [pool, life] : lives) {
    if (!life.system && std::any_of(gaps_.begin(), gaps_.end(), [&, &life = life](const PoolLogHeader* gap) {
          return life.first <= gap->exit_seq && gap->enter_seq <= life.last;
        })) {
      unordered_.insert(pool);
    }
  }
}

// Two returns that overlapped can be put in order by their counts; a return and an allocation or a scrub cannot. Once a
// call took its turn from another CPU's, what follows it there may overlap that as well.
void Lockstep::find_unordered(const std::vector<Event>& events) {
  std::map<std::uint32_t, std::vector<const PoolLogHeader*>> inside;  // by pool
  for (const Event& event : events) {
    const PoolLogHeader& header = *event.header;
    if (is_crossing(header)) {
      continue;
    }
    std::vector<const PoolLogHeader*>& calls = inside[header.pool];
    if (!event.enter) {
      std::erase(calls, &header);
      continue;
    }
    const bool beside = (header.flags & POOL_LOG_BESIDE) != 0;
    if (std::any_of(calls.begin(), calls.end(), [&](const PoolLogHeader* other) {
          const bool other_cpus = other->cpu != header.cpu && takes_turns(*other) && takes_turns(header);
          return (beside || other_cpus) && (header.kind != POOL_LOG_PUT || other->kind != POOL_LOG_PUT);
        })) {
      unordered_.insert(header.pool);
    }
    calls.push_back(&header);
  }
}

// A pool asks for a bulk of 64; where memory is short it gets fewer, or none.
void Lockstep::find_short_bulks(const std::vector<Event>& events) {
  std::map<std::pair<std::uint32_t, std::uint8_t>, const PoolLogOp*> allocating;  // by pool and CPU
  for (const Event& event : events) {
    const PoolLogHeader& header = *event.header;
    const bool allocates = header.kind == POOL_LOG_ALLOC || header.kind == POOL_LOG_ALLOC_FRAG;
    if (allocates && event.enter) {
      allocating[{header.pool, header.cpu}] = reinterpret_cast<const PoolLogOp*>(event.header);
    } else if (allocates) {
      allocating.erase({header.pool, header.cpu});
    } else if (const auto call = allocating.find({header.pool, header.cpu});
               header.kind == POOL_LOG_HOLD && call != allocating.end()) {
      ++bulks_[call->second];
    }
  }
}

}  // namespace rxpool::guest
