// The scenarios that ship, and the files that are generated from the parameter structs.
#include <catch2/catch.hpp>
#include <filesystem>

#include "models/scenario/json_text.hpp"
#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> shipped() {
  std::vector<std::string> all;
  for (const char* folder : {"scenarios", "benchmarks/scenarios"}) {
    for (const auto& entry : fs::directory_iterator(source_path(folder))) {
      if (entry.path().extension() == ".json" && entry.path().filename() != "schema.json")
        all.push_back(entry.path().string());
    }
  }
  return all;
}

}  // namespace

TEST_CASE("every shipped scenario loads, asks a question and loads back from its resolved form") {
  CHECK(shipped().size() >= 40);
  for (const std::string& path : shipped()) {
    INFO(path);
    const Scenario s = load_scenario_file(path);
    CHECK(s.question.back() == '?');
    CHECK(fs::exists(fs::path(path).parent_path() / s.schema));
    LoadOptions again;
    again.folder = s.folder;
    CHECK(resolved_json(load_scenario(resolved_json(s), again)) == resolved_json(s));
    CHECK(memory_estimate_bytes(s) < 200'000'000);
  }
}

TEST_CASE("benchmark scenarios have at least ten thousand flows with Poisson arrivals") {
  for (const auto& entry : fs::directory_iterator(source_path("benchmarks/scenarios"))) {
    INFO(entry.path());
    const Scenario s = load_scenario_file(entry.path().string());
    for (const auto& [name, traffic] : s.traffic) {
      CHECK(traffic.source.flows.count >= 10000);
      CHECK(traffic.kind == scenario::TrafficKind::poisson);
    }
  }
}

TEST_CASE("scenarios/schema.json is the one generated from the structs") {
  CHECK(scenario::read_text_file(source_path("scenarios/schema.json")) == scenario_schema_json());
}

TEST_CASE("the tables of docs/scenario-format.md are the ones generated from the structs") {
  const std::string page = scenario::read_text_file(source_path("docs/scenario-format.md"));
  CHECK(scenario_page(page) == page);
}
