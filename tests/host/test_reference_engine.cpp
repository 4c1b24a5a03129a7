// The host against the plain engine of tests/oracles: whatever works ahead, behind or in batches must not show.
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

#include "models/host/host.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/random_scenario.hpp"

using namespace rxpool;

namespace {

std::uint64_t fingerprint_with_window(const Scenario& scenario, Time window) {
  Host host(scenario, 0);
  host.engine().set_window(window);
  return host.run({}).fingerprint;
}

/// The same members in another order, at every depth.
nlohmann::ordered_json shuffled(const nlohmann::ordered_json& value, std::mt19937_64& random) {
  if (!value.is_object()) return value;
  std::vector<std::string> keys;
  for (const auto& [key, member] : value.items()) keys.push_back(key);
  for (std::size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[random() % i]);
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  for (const std::string& key : keys) result[key] = shuffled(value[key], random);
  return result;
}

}  // namespace

TEST_CASE("the host and the reference engine agree on random scenarios", "[reference]") {
  std::uint64_t packets = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Agreement agreement = compare_with_reference(load_random(random_scenario(seed, {.duration_ms = 1})));
    INFO("compare_reference --scenarios 1 --ms 1 --seed " << seed);
    CHECK(agreement.differences == std::vector<std::string>{});
    packets += agreement.packets;
  }
  CHECK(packets > 600000);
}

TEST_CASE("the comparison sees one packet more", "[reference]") {
  const std::string text = random_scenario(1, {.duration_ms = 1});
  Scenario other = load_random(text);
  other.duration_ms = 1.1;
  CHECK(run_replication(load_random(text), {}).fingerprint != run_replication(other, {}).fingerprint);
}

TEST_CASE("how far the host runs ahead never changes a result", "[engine]") {
  for (std::uint64_t seed = 101; seed <= 108; ++seed) {
    const Scenario scenario = load_random(random_scenario(seed, {.duration_ms = 1}));
    const std::uint64_t expected = fingerprint_with_window(scenario, microseconds(100));
    INFO("seed " << seed);
    CHECK(fingerprint_with_window(scenario, microseconds(1)) == expected);
    CHECK(fingerprint_with_window(scenario, microseconds(13)) == expected);
    CHECK(fingerprint_with_window(scenario, milliseconds(1)) == expected);
  }
}

TEST_CASE("the order in which a scenario names its parts never changes a result", "[engine]") {
  std::mt19937_64 random(7);
  for (std::uint64_t seed = 201; seed <= 204; ++seed) {
    const std::string text = random_scenario(seed, {.duration_ms = 1});
    const std::string other = shuffled(nlohmann::ordered_json::parse(text), random).dump();
    CHECK(run_replication(load_random(other), {}).fingerprint == run_replication(load_random(text), {}).fingerprint);
  }
}

TEST_CASE("creation order decides nothing at equal times", "[engine]") {
  struct Part {
    Event event;
    std::vector<char>* log;
    char name;
    static void fire(void* self, Time) {
      const Part& part = *static_cast<Part*>(self);
      part.log->push_back(part.name);
    }
  };
  std::mt19937_64 random(3);
  std::vector<char> expected;
  for (int round = 0; round < 10; ++round) {
    std::vector<char> log;
    std::vector<std::unique_ptr<Part>> parts;
    std::string names = "abcdefgh";
    for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[random() % i]);
    Engine engine;
    for (const char name : names) {
      parts.push_back(std::make_unique<Part>());
      parts.back()->log = &log;
      parts.back()->name = name;
      const auto group = static_cast<std::uint32_t>(name - 'a') % 3;
      engine.add(parts.back()->event, std::string("part.") + name, group, parts.back().get(), &Part::fire);
    }
    engine.seal();
    for (const auto& part : parts) {
      engine.arm(part->event, microseconds(1), part->name < 'e' ? EventClass::poll : EventClass::interrupt);
    }
    engine.run(microseconds(2), {});
    if (round == 0) expected = log;
    CHECK(log == expected);
    CHECK(std::string(log.begin(), log.end()) == "efghabcd");
  }
}
