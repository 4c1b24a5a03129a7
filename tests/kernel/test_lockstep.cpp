// The replay of a guest's log: equal where the log is the kernel's, different where one count or one page is changed.
// data/pools-6.18.12.log holds the whole lives of three pools of a Debian 6.18.12 guest (a generator's, detached at its
// end; a veth queue's with fragments; vmxnet3's), cut out of a longer log by cut_log.py.

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "kernel/guest/lockstep.hpp"
#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

using Log = std::vector<std::uint8_t>;

Log shipped_log() {
  std::ifstream file(RXPOOL_TEST_DATA "/pools-6.18.12.log", std::ios::binary);
  return Log(std::istreambuf_iterator<char>(file), {});
}

LockstepReport replay(const Log& log) {
  return Lockstep({6, 18}, 2).replay(log);
}

// The n-th record of a kind, to be changed in place.
template <typename Record>
Record& record(Log& log, int kind, int n) {
  for (std::size_t at = 0; at < log.size(); at += reinterpret_cast<PoolLogHeader*>(&log[at])->size) {
    auto* header = reinterpret_cast<PoolLogHeader*>(&log[at]);
    if (header->kind == kind && n-- == 0) {
      return *reinterpret_cast<Record*>(header);
    }
  }
  throw std::runtime_error("no such record");
}

TEST_CASE("the model agrees with a kernel's page_pool after every call of three pools' lives",
          "[PP-10][PP-11][PP-13][PP-24][PP-25][PP-26][PP-35][PP-45][PP-52][PP-54]") {
  const Log log = shipped_log();
  REQUIRE(log.size() > 100000);
  const LockstepReport report = replay(log);
  CHECK(report.differences == 0);
  CHECK(report.pools == 3);
  CHECK(report.operations > 1200);
  CHECK(report.exact + report.settled == report.operations);
  const auto rules = report.rules.table();
  CHECK(rules.at("PP-10 fast") > 0);
  CHECK(rules.at("PP-25 ring") > 0);
  CHECK(rules.at("PP-25 ring full") > 0);
  CHECK(rules.at("PP-52 detached") == 1);
}

TEST_CASE("one count that is off by one is one difference") {
  for (auto count : {&PoolLogCounts::hold, &PoolLogCounts::release, &PoolLogCounts::cache, &PoolLogCounts::ring,
                     &PoolLogCounts::fast, &PoolLogCounts::recycled_ring, &PoolLogCounts::looks_full}) {
    Log log = shipped_log();
    ++(record<PoolLogOp>(log, POOL_LOG_PUT, 100).counts.*count);
    CHECK(replay(log).differences == 1);
  }
}

TEST_CASE("another page handed out than the kernel's is a difference", "[PP-10][PP-11]") {
  Log log = shipped_log();
  // Late in a pool's life, when pages have names: a page that was never handed out has none yet.
  auto& first = record<PoolLogOp>(log, POOL_LOG_ALLOC, 500);
  auto& second = record<PoolLogOp>(log, POOL_LOG_ALLOC, 501);
  std::swap(first.header.page, second.header.page);
  CHECK(replay(log).differences > 0);
}

TEST_CASE("a pool with another ring size than the kernel's is a difference", "[PP-1]") {
  Log log = shipped_log();
  record<PoolLogOp>(log, POOL_LOG_CREATE, 0).argument += 1;
  CHECK(replay(log).differences == 1);
}

// Two returns to one pool that followed each other, the second now let in while the first was still inside, which
// had its effect already.
std::pair<PoolLogOp*, PoolLogOp*> overlapping_puts(Log& log) {
  PoolLogOp* before = nullptr;
  for (std::size_t at = 0; at < log.size(); at += reinterpret_cast<PoolLogHeader*>(&log[at])->size) {
    auto* op = reinterpret_cast<PoolLogOp*>(&log[at]);
    if (op->header.kind == POOL_LOG_PUT && before != nullptr && before->header.pool == op->header.pool &&
        before->header.exit_seq + 1 == op->header.enter_seq && op->header.enter_seq + 1 == op->header.exit_seq) {
      op->header.enter_seq = before->header.exit_seq;
      op->header.exit_seq = op->header.enter_seq + 1;
      before->header.exit_seq = op->header.enter_seq + 2;
      op->header.flags |= POOL_LOG_BESIDE;
      return {before, op};
    }
    before = op->header.kind == POOL_LOG_PUT ? op : nullptr;
  }
  throw std::runtime_error("no such records");
}

TEST_CASE("a pool of which the log does not know the order is set aside whole, the others are compared") {
  Log log = shipped_log();
  const std::uint64_t all = replay(log).operations;
  auto [first, second] = overlapping_puts(log);
  first->header.kind = POOL_LOG_ALLOC;
  ++second->counts.cache;  // would be a difference
  const LockstepReport report = replay(log);
  CHECK(report.differences == 0);
  CHECK(report.pools == 2);
  CHECK(report.set_aside > 0);
  CHECK(report.operations + report.set_aside == all);
}

TEST_CASE("returns of two CPUs that overlapped are compared by what either may have read") {
  Log log = shipped_log();
  auto [first, second] = overlapping_puts(log);
  CHECK(replay(log).differences == 0);
  CHECK(replay(log).beside == 1);
  CHECK(replay(log).set_aside == 0);
  // The first one's counts may be read in part before and in part after the second one.
  first->counts.recycled_ring = second->counts.recycled_ring;
  CHECK(replay(log).differences == 0);
  first->counts.recycled_ring = second->counts.recycled_ring + 1;
  CHECK(replay(log).differences == 1);
}

TEST_CASE("a log with a gap is refused") {
  Log log = shipped_log();
  record<PoolLogOp>(log, POOL_LOG_PUT, 50).header.exit_seq += 1;
  CHECK_THROWS_AS(replay(log), InputError);
}

TEST_CASE("pools that lived while a call was not seen are set aside, if the log says when that was") {
  Log log = shipped_log();
  const std::uint64_t all = replay(log).operations;
  const PoolLogHeader unseen = record<PoolLogOp>(log, POOL_LOG_PUT, 50).header;
  const auto at = reinterpret_cast<const std::uint8_t*>(&record<PoolLogOp>(log, POOL_LOG_PUT, 50)) - log.data();
  log.erase(log.begin() + at, log.begin() + at + unseen.size);
  CHECK_THROWS_AS(replay(log), InputError);
  PoolLogHeader gap{};
  gap.size = sizeof(gap);
  gap.kind = POOL_LOG_GAP;
  gap.enter_seq = unseen.enter_seq - 1;
  gap.exit_seq = unseen.exit_seq + 1;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&gap);
  log.insert(log.end(), bytes, bytes + sizeof(gap));
  const LockstepReport report = replay(log);
  CHECK(report.gaps == 1);
  CHECK(report.differences == 0);
  CHECK(report.pools == 2);
  CHECK(report.operations + report.set_aside == all - 1);
}

TEST_CASE("what is not a log is refused") {
  Log log(4096, 7);
  CHECK_THROWS_AS(replay(log), InputError);
}

}  // namespace
}  // namespace rxpool::guest
