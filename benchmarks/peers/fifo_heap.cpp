// The FIFO part of the receive path as a textbook writes it: one event per arrival and one per departure in a binary
// heap, 64-byte packets at 14.88 Mpps (Poisson) into a FIFO of 512 that is served at 10 Mpps. A peer for
// benchmarks/run.
//   fifo_heap PACKETS

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <queue>
#include <random>
#include <vector>

namespace {

enum class Kind { arrival, departure };

struct Event {
  std::int64_t at_ps;
  std::uint64_t sequence;
  Kind kind;
  bool operator<(const Event& other) const {  // priority_queue takes the largest
    return at_ps != other.at_ps ? at_ps > other.at_ps : sequence > other.sequence;
  }
};

struct Packet {
  std::int64_t arrival_ps;
  std::uint64_t id;
  std::uint64_t rest[6];
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t packets = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  constexpr double mean_gap_ps = 1e12 / 14'880'952;
  constexpr std::int64_t service_ps = 100'000;
  constexpr std::size_t capacity = 512;

  std::mt19937_64 random(1);
  std::exponential_distribution<double> gap(1 / mean_gap_ps);
  std::priority_queue<Event> events;
  std::deque<Packet> fifo;
  std::uint64_t sequence = 0;
  std::uint64_t offered = 0;
  std::uint64_t dropped = 0;
  double latency_ps = 0;
  const double before = cpu_seconds();
  events.push({0, sequence++, Kind::arrival});
  while (!events.empty()) {
    const Event event = events.top();
    events.pop();
    if (event.kind == Kind::departure) {
      latency_ps += static_cast<double>(event.at_ps - fifo.front().arrival_ps);
      fifo.pop_front();
      if (!fifo.empty()) events.push({event.at_ps + service_ps, sequence++, Kind::departure});
      continue;
    }
    if (fifo.size() == capacity) {
      ++dropped;
    } else {
      fifo.push_back({event.at_ps, offered, {}});
      if (fifo.size() == 1) events.push({event.at_ps + service_ps, sequence++, Kind::departure});
    }
    if (++offered < packets) {
      events.push({event.at_ps + static_cast<std::int64_t>(std::llround(gap(random))), sequence++, Kind::arrival});
    }
  }
  const double seconds = cpu_seconds() - before;
  std::printf("offered=%llu dropped=%llu mean_latency_us=%.3f cpu_s=%.3f offered_Mpps=%.3f\n",
              static_cast<unsigned long long>(offered), static_cast<unsigned long long>(dropped),
              latency_ps / static_cast<double>(offered - dropped) * 1e-6, seconds,
              static_cast<double>(offered) / seconds * 1e-6);
}
