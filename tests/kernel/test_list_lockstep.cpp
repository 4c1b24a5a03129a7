// The replay of a guest's log of per-CPU page lists: equal where the log is the kernel's, different where one number
// is changed. data/lists-6.18.12.log are the calls around some flushes and decays of a Debian 6.18.12 guest, cut out of
// a longer log by cut_log.py.

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <vector>

#include "kernel/guest/list_lockstep.hpp"
#include "sim/error.hpp"

namespace rxpool::guest {
namespace {

using Log = std::vector<std::uint8_t>;

Log shipped_log() {
  std::ifstream file(RXPOOL_TEST_DATA "/lists-6.18.12.log", std::ios::binary);
  return Log(std::istreambuf_iterator<char>(file), {});
}

ListReport replay(const Log& log) {
  return ListLockstep({6, 18}).replay(log);
}

std::vector<ListLogOp*> calls(Log& log) {
  std::vector<ListLogOp*> result;
  for (std::size_t at = 0; at < log.size(); at += sizeof(ListLogOp)) {
    result.push_back(reinterpret_cast<ListLogOp*>(&log[at]));
  }
  return result;
}

ListLogOp& last_that(Log& log, bool (*fits)(const ListLogOp&)) {
  ListLogOp* found = nullptr;
  for (ListLogOp* op : calls(log)) {
    found = fits(*op) ? op : found;
  }
  REQUIRE(found != nullptr);
  return *found;
}

bool is_single_free(const ListLogOp& op) {
  return op.header.kind == LIST_LOG_FREE && op.order == 0 && op.given == 0;
}
bool is_flush(const ListLogOp& op) {
  return op.header.kind == LIST_LOG_FREE && op.given != 0;
}
bool lowers_high(const ListLogOp& op) {
  return op.header.kind == LIST_LOG_DECAY && op.after.high < op.before.high && op.given == 0;
}

TEST_CASE("the model agrees with a kernel's per-CPU page lists after every free and decay",
          "[PA-14][PA-20][PA-21][PA-22][PA-26]") {
  const ListReport report = replay(shipped_log());
  CHECK(report.differences == 0);
  CHECK(report.operations > 500);
  for (const char* rule : {"PA-14 alloc_factor halved", "PA-20 free, order 0", "PA-20 free, order 1 to 3",
                           "PA-21 high raised by a free", "PA-22 flush", "PA-26 decay, high lowered"}) {
    INFO(rule);
    CHECK(report.rules.at(rule) > 0);
  }
}

TEST_CASE("a number of a page list that is off by one is a difference", "[PA-14][PA-20][PA-21][PA-26]") {
  for (auto value :
       {&ListLogCounts::count, &ListLogCounts::high, &ListLogCounts::alloc_factor, &ListLogCounts::free_count}) {
    for (auto kind : {is_single_free, lowers_high}) {
      Log log = shipped_log();
      ++(last_that(log, kind).after.*value);
      CHECK(replay(log).differences == 1);
    }
  }
}

TEST_CASE("a flush that did not happen, or is smaller by a block, is a difference", "[PA-22]") {
  Log log = shipped_log();
  ListLogOp& flush = last_that(log, is_flush);
  flush.after.count += 8;
  flush.given -= 8;
  CHECK(replay(log).differences == 1);
  log = shipped_log();
  last_that(log, is_single_free).given = 1;
  CHECK(replay(log).differences == 1);
}

TEST_CASE("a decay with a free inside is set aside, the rest is compared", "[PA-26]") {
  Log log = shipped_log();
  const std::uint64_t all = replay(log).operations;
  ListLogOp& decay = last_that(log, lowers_high);
  ++decay.after.high;
  decay.header.enter_seq = 0;
  const ListReport report = replay(log);
  CHECK(report.differences == 0);
  CHECK(report.set_aside == replay(shipped_log()).set_aside + 1);
  CHECK(report.operations == all - 1);
}

TEST_CASE("what is not a log of page lists is refused") {
  CHECK_THROWS_AS(replay(Log(4096, 7)), InputError);
}

}  // namespace
}  // namespace rxpool::guest
