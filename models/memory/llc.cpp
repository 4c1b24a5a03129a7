#include "models/memory/llc.hpp"

#include <algorithm>
#include <string>

#include "models/memory/page.hpp"
#include "sim/error.hpp"
#include "sim/math.hpp"

namespace rxpool {
namespace {

constexpr std::uint64_t line_bytes = 64;
constexpr std::uint64_t lines_per_page = page_bytes / line_bytes;

}  // namespace

void LlcParameters::validate() const {
  if (ways < 1 || ways > 64 || ddio_ways < 1 || ddio_ways > ways) {
    throw InputError("llc: ways is " + std::to_string(ways) + " and ddio_ways " + std::to_string(ddio_ways) +
                     ", must be 1..64 and 1..ways");
  }
  if (bytes < ways * line_bytes * lines_per_page || bytes > 1ULL << 40) {
    throw InputError("llc: " + std::to_string(bytes) + " bytes, must be at least one page per way and at most 1 TiB");
  }
}

// Built with +, * and / of doubles only, so every machine makes the same table: e^-1/8 by its series, then powers of it
// by multiplication. The table ends where the tail is 1 within 2^-32.
PoissonTail::PoissonTail(std::uint32_t k) {
  constexpr double step = 1.0 / 8;
  double term = 1;
  double exp_minus_step = 1;
  for (int i = 1; i < 20; ++i) {
    term *= -step / i;
    exp_minus_step += term;
  }
  double exp_minus_mean = 1;
  for (std::uint32_t index = 0;; ++index) {
    const double mean = index * step;
    double probability = exp_minus_mean;  // of exactly i
    double below = 0;                     // of fewer than k
    for (std::uint32_t i = 0; i < k; ++i) {
      below += probability;
      probability *= mean / (i + 1);
    }
    const double tail = below < 1 ? 1 - below : 0;
    const auto entry = static_cast<Probability>(tail * 4294967296.0);
    table_.push_back(entry);
    if (entry >= certain - 1) {
      return;
    }
    exp_minus_mean *= exp_minus_step;
  }
}

// A full set of n + 1 lines that are touched in turn: with m the probability of a miss, m n lines are brought in
// between two touches of one, each of which pushes it out with probability 1 / ways; so m = 1 - exp(-m n / ways'),
// where ways' is -1 / log(1 - 1/ways). Sets that hold all their lines lose none.
RandomReplacement::RandomReplacement(std::uint32_t ways) {
  constexpr Probability as_good_as_certain = certain - (certain >> 8);
  const double effective_ways = ways == 1 ? 0.5 : -1 / math::log(1 - 1.0 / ways);
  const auto lost = [&](std::uint32_t others) {
    if (others < ways) return 0.0;
    double miss = 1;
    for (int i = 0; i < 200; ++i) {
      const double next = 1 - math::exp(-miss * others / effective_ways);
      if (next == miss) break;
      miss = next;
    }
    return miss;
  };
  std::vector<double> by_others;
  for (std::uint32_t index = 0;; ++index) {
    const double mean = index * 0.5;
    double probability = math::exp(-mean);  // of exactly n others
    double expected = 0;
    double left = 1;
    for (std::uint32_t n = 0; left > 1e-9 && n < 4096; ++n) {
      if (n == by_others.size()) by_others.push_back(lost(n));
      expected += probability * by_others[n];
      left -= probability;
      probability *= mean / (n + 1);
    }
    const double gone = std::min(1.0, expected + std::max(left, 0.0));
    // Rounding must not make the table fall.
    table_.push_back(std::max(table_.empty() ? 0 : table_.back(), static_cast<Probability>(gone * 4294967296.0)));
    if (table_.back() >= as_good_as_certain) return;
  }
}

Llc::Llc(const LlcParameters& parameters, std::uint64_t page_count)
    : memory_(2 * page_count * sizeof(Line)), lines_(static_cast<Line*>(memory_.base())) {
  parameters.validate();
  // sets = bytes / (ways * 64); one in 64 of them is within reach.
  const std::uint64_t lines_per_set_q32 = ((parameters.ways * line_bytes * lines_per_page) << 32) / parameters.bytes;
  const auto fill = [&](Table& made, const auto& tail) {
    std::vector<Probability>& table = made.entries;
    for (std::uint64_t distance = 0;; distance += std::uint64_t{1} << distance_shift) {
      // The middle of the step stands for it.
      const std::uint64_t middle = distance == 0 ? 0 : distance + (std::uint64_t{1} << distance_shift) / 2;
      table.push_back(tail.at((middle * lines_per_set_q32) >> 16));
      if (table.back() < certain - 1) continue;
      table.back() = certain;
      made.last = table.size() - 1;
      return;
    }
  };
  fill(ordinary_, RandomReplacement(parameters.ways));
  fill(ddio_, PoissonTail(parameters.ddio_ways));
}

}  // namespace rxpool
