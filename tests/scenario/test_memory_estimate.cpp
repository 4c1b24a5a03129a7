#include <catch2/catch.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;

TEST_CASE("the estimate grows with everything that takes memory") {
  const std::uint64_t base = memory_estimate_bytes(load_text(small_scenario));
  CHECK(base < 200'000'000);
  for (const auto& [path, value] :
       std::vector<std::pair<std::string, std::string>>{{"nics.nic0.rx_ring", "8192"},
                                                        {"traffic.load.flows.count", "1000000"},
                                                        {"record.every_us", "10"},
                                                        {"sockets.app.rcvbuf", "4194304"},
                                                        {"memory.background", R"({"b": {"pages_per_ms": 1000}})"}}) {
    INFO(path);
    CHECK(memory_estimate_bytes(load_text(small_scenario, {{path, value}})) > base);
  }
}

TEST_CASE("the estimate knows the largest ring that an event opens") {
  const std::string ring = R"({"grow": {"at_ms": 1, "set": {"nics.nic0.rx_queues.rx0.rx_ring": )";
  const auto with = [&](const std::string& size) {
    return memory_estimate_bytes(load_text(small_scenario, {{"events", ring + size + "}}}"}}));
  };
  const std::uint64_t base = memory_estimate_bytes(load_text(small_scenario));
  CHECK(with("64") == base);
  CHECK(with("8192") >= base + 7168 * 128);
  CHECK(with("8192") >= memory_estimate_bytes(load_text(small_scenario, {{"nics.nic0.rx_ring", "8192"}})));
}

TEST_CASE("a scenario above the limit is refused with the limit's exit code") {
  const Scenario s = load_text(small_scenario, {{"traffic.load.flows.count", "16000000"}});
  try {
    check_memory(s, 1U << 30);
    FAIL("accepted");
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::limit);
    CHECK(std::string(error.what()).rfind("test.json: needs about ", 0) == 0);
    CHECK(std::string(error.what()).find("the limit is 1024 MiB; use fewer flows") != std::string::npos);
  }
  CHECK_NOTHROW(check_memory(s, 4ULL << 30));
}

TEST_CASE("an absurd series is an estimate, not an overflow") {
  const Scenario s = load_text(small_scenario, {{"duration_ms", "4e9"}, {"record.every_us", "1"}});
  CHECK(memory_estimate_bytes(s) > 1000ULL << 40);
}
