// The smallest pool, for moves whose answer follows from the rules.
#include <catch2/catch.hpp>
#include <vector>

#include "models/host/pool_replay.hpp"

using namespace rxpool;

namespace {

PoolReplayParams params(std::uint32_t ring, std::uint32_t outside) {
  PoolReplayParams p;
  p.ring_size = ring;
  p.outside = outside;
  return p;
}

}  // namespace

TEST_CASE("traffic that only passes needs what is out and one budget", "[CT-14]") {
  const std::vector<PoolMoves> moves(100, {64, 64, 0});
  CHECK(slow_allocs_with(512, moves, params(1024, 512)) > 0);
  CHECK(slow_allocs_with(576, moves, params(1024, 512)) == 0);
  CHECK(smallest_pool(moves, params(1024, 512), 512) == 576);
}

TEST_CASE("a burst needs its peak, if the ring keeps it for the next one", "[CT-14]") {
  std::vector<PoolMoves> moves;
  for (int burst = 0; burst < 3; ++burst) {
    moves.push_back({5120, 0, 0});
    moves.push_back({0, 0, 5120});
  }
  CHECK(smallest_pool(moves, params(8192, 512), 512) == 512 + 5120);
  // A ring of 1024 lets go of 4096 pages after each burst: no number of pages suffices.
  CHECK(!smallest_pool(moves, params(1024, 512), 512).has_value());
}
