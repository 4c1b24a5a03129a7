#include <catch2/catch.hpp>

#include "models/control/cpu_scaler.hpp"

using namespace rxpool;

namespace {

CpuScaler scaler(std::uint32_t start, std::uint32_t most = 4) {
  CpuScalerParams params;
  params.period = milliseconds(1);
  params.patience = 3;
  params.start = start;
  params.most = most;
  return CpuScaler(params);
}

}  // namespace

TEST_CASE("a frame that is lost, or CPUs that are busy, take one more at once", "[CT-60]") {
  CpuScaler by_drops = scaler(1);
  CHECK(by_drops.look(microseconds(100), 1) == 2);
  CpuScaler by_load = scaler(2);
  CHECK(by_load.look(microseconds(1790), 0) == 2);
  CHECK(by_load.look(microseconds(1810), 0) == 3);
}

TEST_CASE("there are never more CPUs than there are, and never none", "[CT-60][CT-61]") {
  CpuScaler full = scaler(4);
  CHECK(full.look(milliseconds(4), 1000) == 4);
  CpuScaler one = scaler(1);
  for (int i = 0; i < 10; ++i) CHECK(one.look(Time{0}, 0) == 1);
}

TEST_CASE("a CPU is rested only after several looks that find the others enough", "[CT-61]") {
  CpuScaler three = scaler(3);
  CHECK(three.look(microseconds(1300), 0) == 3);
  CHECK(three.look(microseconds(1300), 0) == 3);
  CHECK(three.look(microseconds(1500), 0) == 3);  // two would be at 75 %: begins anew
  CHECK(three.look(microseconds(1300), 0) == 3);
  CHECK(three.look(microseconds(1300), 0) == 3);
  CHECK(three.look(microseconds(1300), 0) == 2);
}

TEST_CASE("a loss during the wait begins it anew", "[CT-61]") {
  CpuScaler two = scaler(2, 2);
  CHECK(two.look(Time{0}, 0) == 2);
  CHECK(two.look(Time{0}, 0) == 2);
  CHECK(two.look(Time{0}, 5) == 2);
  CHECK(two.look(Time{0}, 0) == 2);
  CHECK(two.look(Time{0}, 0) == 2);
  CHECK(two.look(Time{0}, 0) == 1);
}
