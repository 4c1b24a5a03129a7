#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;

TEST_CASE("the resolved scenario loads back to itself") {
  for (const std::string& text : {small_scenario, rich_scenario}) {
    const std::string once = resolved_json(load_text(text));
    CHECK(resolved_json(load_text(once)) == once);
  }
}

TEST_CASE("what follows from other values is written out, so that it no longer depends on them") {
  const auto resolved = nlohmann::json::parse(resolved_json(load_text(small_scenario, {{"nics.rx_ring", "512"}})));
  CHECK(resolved["nics"]["nic0"]["rx_queues"]["rx0"]["rx_ring"] == 512);
  CHECK(resolved["nics"]["nic0"]["rx_queues"]["rx0"]["pool_size"] == 512);
  CHECK(resolved["kernel"]["skb_defer_max"] == 128);
  CHECK(resolved["policies"]["nic0"]["program"] == "none");
  CHECK_FALSE(resolved["nics"].contains("rx_ring"));
}

TEST_CASE("order of keys and way of writing numbers leave the resolved text unchanged") {
  const std::string a =
      R"({"duration_ms": 50, "cpus": {"cpu0": {}}, "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}}})";
  const std::string b =
      R"({"nics": {"nic0": {"rx_queues": {"cpu": "cpu0", "rx0": {}}}}, "cpus": {"cpu0": {"node": 0.0}}, "duration_ms": 5e1})";
  CHECK(resolved_json(load_text(a)) == resolved_json(load_text(b)));
}

TEST_CASE("a changed value changes the resolved text") {
  CHECK(resolved_json(load_text(small_scenario)) != resolved_json(load_text(small_scenario, {{"seed", "2"}})));
}

TEST_CASE("the largest seed survives") {
  const Scenario s = load_text(small_scenario, {{"seed", "18446744073709551615"}});
  CHECK(s.seed == 18446744073709551615u);
  CHECK(load_text(resolved_json(s)).seed == s.seed);
  CHECK(refusal(small_scenario, {{"seed", "18446744073709551616"}}) != "");
}
