#include <catch2/catch.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;

namespace {

std::string with_change(const std::string& path, const std::string& value) {
  return refusal(small_scenario, {{"events", R"({"e": {"at_ms": 1, "set": {")" + path + "\": " + value + "}}}"}});
}

std::string without_source(const std::string& message) {
  const auto at = message.find("events.e.set: ");
  return at == std::string::npos ? message : message.substr(at);
}

}  // namespace

TEST_CASE("everything that may change at run time is accepted") {
  CHECK(with_change("nics.nic0.rx_queues.rx0.cpu", "\"cpu1\"") == "");
  CHECK(with_change("nics.nic0.link_gbps", "25") == "");
  CHECK(with_change("nics.nic0.link_up", "false") == "");
  CHECK(with_change("policies.nic0", "\"drop\"") == "");
  CHECK(with_change("sockets.app.reader.paused", "true") == "");
  CHECK(with_change("traffic.load.rate_pps", "5") == "");
  CHECK(with_change("traffic.load.rate_pps", "0") == "");
}

TEST_CASE("any other path is refused with the list of those that can change") {
  const std::string message = without_source(with_change("memory.total_mib", "8"));
  CHECK(message.rfind(
            "events.e.set: \"memory.total_mib\" cannot change at run time; these can: nics.*.rx_queues.*.cpu, ", 0) ==
        0);
  CHECK(with_change("nics.nic0", "1") != "");
}

TEST_CASE("a change of something that does not exist is refused") {
  CHECK(without_source(with_change("nics.nic9.link_gbps", "10")) ==
        "events.e.set: \"nics.nic9.link_gbps\" does not exist in this scenario; check its names");
}

TEST_CASE("a new value has to be one that the scenario itself could have") {
  CHECK(without_source(with_change("nics.nic0.rx_queues.rx0.cpu", "\"cpu5\"")) ==
        "events.e.set: nics.nic0.rx_queues.rx0.cpu: no CPU \"cpu5\"; known: cpu0, cpu1");
  CHECK(without_source(with_change("nics.nic0.link_up", "1")) ==
        "events.e.set: nics.nic0.link_up: 1 must be true or false");
  CHECK(with_change("policies.nic0", "\"no_such_policy\"").find("no policy \"no_such_policy\"") != std::string::npos);
}

TEST_CASE("an event without a change is refused") {
  CHECK(refusal(small_scenario, {{"events", R"({"e": {"at_ms": 1}})"}}).find("events.e.set: missing") !=
        std::string::npos);
}
