// What holds for every parameter at once, by walking the resolved scenario and the schema: no field can be forgotten.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;
using nlohmann::json;

namespace {

void collect_leaves(const json& at, const std::string& path, std::vector<std::string>& leaves) {
  if (path == "events") return;  // the names in `set` are paths themselves: test_events.cpp
  if (!at.is_object()) {
    leaves.push_back(path);
    return;
  }
  for (const auto& [name, value] : at.items()) collect_leaves(value, path.empty() ? name : path + "." + name, leaves);
}

std::vector<std::string> leaves_of_rich() {
  std::vector<std::string> leaves;
  collect_leaves(json::parse(resolved_json(load_text(rich_scenario))), "", leaves);
  return leaves;
}

/// The schema of a dotted path; null when there is none.
const json* schema_at(const json& root, const std::string& path) {
  const json* at = &root;
  std::size_t from = 0;
  while (from <= path.size()) {
    const std::size_t dot = std::min(path.find('.', from), path.size());
    const std::string name = path.substr(from, dot - from);
    from = dot + 1;
    if (at->contains("anyOf")) at = &(*at)["anyOf"][0];
    const json* next = nullptr;
    if (at->contains("properties") && (*at)["properties"].contains(name)) {
      next = &(*at)["properties"][name];
    } else if (at->contains("additionalProperties") && (*at)["additionalProperties"].is_object()) {
      next = &(*at)["additionalProperties"];
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

}  // namespace

TEST_CASE("a list is refused in place of every value, with its path") {
  const std::string resolved = resolved_json(load_text(rich_scenario));
  const auto leaves = leaves_of_rich();
  CHECK(leaves.size() > 150);
  for (const std::string& path : leaves) {
    INFO(path);
    const std::string message = refusal(resolved, {{path, "[]"}});
    CHECK(message.rfind("override " + path + "=[]: a list ", 0) == 0);
  }
}

TEST_CASE("every value has a schema, and the schema's limits are the loader's") {
  const json schema = json::parse(scenario_schema_json());
  const std::string resolved = resolved_json(load_text(rich_scenario));
  int limits = 0;
  for (const std::string& path : leaves_of_rich()) {
    INFO(path);
    const json* field = schema_at(schema, path);
    REQUIRE(field != nullptr);
    if (!field->contains("maximum")) continue;
    ++limits;
    for (const auto& [bound, step] : {std::pair{"minimum", -1.0}, {"maximum", 1.0}}) {
      const double value = (*field)[bound].get<double>();
      const double beyond = value + step * std::max(1.0, std::abs(value) * 1e-3);
      const std::string message = refusal(resolved, {{path, json(beyond).dump()}});
      INFO(bound << " " << beyond);
      CHECK((message.find("out of range; use") != std::string::npos ||
             message.find("overflows simulated time") != std::string::npos));
    }
  }
  CHECK(limits > 90);
}

TEST_CASE("every field has a description that ends as a sentence") {
  const json schema = json::parse(scenario_schema_json());
  std::vector<const json*> open = {&schema};
  int fields = 0;
  while (!open.empty()) {
    const json* at = open.back();
    open.pop_back();
    if (!at->is_object()) continue;
    if (at->contains("properties") && at->contains("additionalProperties") && (*at)["additionalProperties"] == false) {
      for (const auto& [name, field] : (*at)["properties"].items()) {
        INFO(name);
        REQUIRE(field.contains("description"));
        CHECK(field["description"].get<std::string>().back() == '.');
        ++fields;
      }
    }
    for (const auto& entry : at->items()) open.push_back(&entry.value());
  }
  CHECK(fields > 150);
}
