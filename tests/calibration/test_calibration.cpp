#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "models/calibration/calibration.hpp"
#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using nlohmann::json;

namespace {

std::string folder() {
  return std::string(RXPOOL_SOURCE_DIR) + "/scenarios/calibration/";
}
std::string path(const std::string& name = "m1-mlx5") {
  return folder() + name + ".json";
}
json document(const std::string& name = "m1-mlx5") {
  return json::parse(scenario::read_text_file(path(name)));
}

std::string refusal(const json& changed) {
  try {
    load_calibration(changed.dump(), "c.json", folder());
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

/// Every object of the file that holds a number with its figure.
void collect_numbers(const json& at, std::vector<const json*>& found) {
  if (!at.is_object()) return;
  if (at.contains("figure")) found.push_back(&at);
  for (const auto& entry : at.items()) collect_numbers(entry.value(), found);
}

}  // namespace

TEST_CASE("the step table is indexed by the step and its names differ") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < step_count; ++i) {
    CHECK(static_cast<std::size_t>(calibration_steps[i].step) == i);
    names.insert(calibration_steps[i].name);
  }
  CHECK(names.size() == step_count);
}

TEST_CASE("m1-mlx5 is fitted and in whole picoseconds") {
  const Calibration c = load_calibration_file(path());
  CHECK(c.name == "m1-mlx5");
  CHECK_FALSE(c.provisional);
  CHECK(c.era == "4.17, retpoline off");
  CHECK(c.cost(Step::dma_sync).ps > 0);
  CHECK(c.llc.bytes < 15U << 20);  // of the machine's 15 MiB: others than packets need the rest
  CHECK(c.pcie.ps_per_byte == 63);
  CHECK(c.calibrated_for("mlx5"));
  CHECK_FALSE(c.calibrated_for("ice"));
  REQUIRE(c.fits.size() == 1);
  CHECK(c.fits[0].covariance.size() == c.fits[0].parameters.size());
}

TEST_CASE("another NIC's file changes its driver and bus and keeps the machine") {
  const Calibration base = load_calibration_file(path());
  const Calibration i40e = load_calibration_file(path("m1-i40e"));
  CHECK(i40e.name == "m1-i40e");
  CHECK(i40e.calibrated_for("i40e"));
  CHECK(i40e.cost(Step::rx_descriptor) != base.cost(Step::rx_descriptor));
  CHECK(i40e.pcie.packet != base.pcie.packet);
  CHECK(i40e.cost(Step::netif_receive) == base.cost(Step::netif_receive));
  CHECK(i40e.idle.cold_permille == base.idle.cold_permille);
  CHECK(i40e.fits.size() == 2);
  CHECK(calibration_files(path("m1-i40e")).size() == 2);
}

TEST_CASE("a file that stands on another may not change the machine") {
  json file = document("m1-i40e");
  file["steps"]["netif_receive"] = {{"ns", 1}, {"per", "packet"}, {"figure", "XP-1"}};
  CHECK(refusal(file).find("steps.netif_receive") != std::string::npos);
  file = document("m1-i40e");
  file["llc"] = json::object();
  CHECK(refusal(file).find("llc") != std::string::npos);
  file = document("m1-i40e");
  file["base"] = "m1-mlx4";
  CHECK(refusal(file).find("base") != std::string::npos);
}

TEST_CASE("retpolines make a step dearer by its indirect calls") {
  Calibration c = load_calibration_file(path());
  const Time before = c.cost(Step::netif_receive);
  const Time without = c.cost(Step::rx_descriptor);
  c.add_retpolines();
  CHECK(c.cost(Step::netif_receive) == before + c.cost(Step::retpoline));
  CHECK(c.cost(Step::rx_descriptor) == without);
}

TEST_CASE("draws from a fit scatter as its covariance says and are the same for the same stream") {
  const Calibration fitted = load_calibration_file(path());
  const CalibrationFit& fit = fitted.fits[0];
  const auto found = std::find_if(fit.parameters.begin(), fit.parameters.end(),
                                  [](const auto& parameter) { return parameter.name == "interrupt"; });
  REQUIRE(found != fit.parameters.end());
  const auto index = static_cast<std::size_t>(found - fit.parameters.begin());
  const double relative = std::sqrt(fit.covariance[index][index]) / found->factor;
  double squares = 0;
  constexpr int draws = 400;
  RandomStream random(1, 0, "calibration");
  for (int i = 0; i < draws; ++i) {
    Calibration drawn = fitted;
    drawn.draw(random);
    const double price = static_cast<double>(fitted.cost(Step::hardirq).ps);
    const double change = static_cast<double>(drawn.cost(Step::hardirq).ps) / price - 1;
    squares += change * change;
  }
  CHECK(std::sqrt(squares / draws) == Approx(relative).epsilon(0.15));
  Calibration one = fitted;
  Calibration other = fitted;
  RandomStream first(2, 1, "calibration");
  RandomStream second(2, 1, "calibration");
  one.draw(first);
  other.draw(second);
  CHECK(one.cost(Step::hardirq) == other.cost(Step::hardirq));
}

TEST_CASE("every number names a figure, a fit, or is a prior that says where it comes from") {
  const json file = document();
  std::vector<const json*> numbers;
  collect_numbers(file, numbers);
  CHECK(numbers.size() == step_count + 3 + 5 + 4);
  for (const json* number : numbers) {
    INFO(number->dump());
    if ((*number)["figure"] == "uncalibrated") CHECK((*number)["note"].get<std::string>().size() > 10);
  }
  for (const char* wrong : {"", "about 5", "fit:", "XP", "PRIOR", "XP-1,", "fit:XP-1;PB-2", "ABCD-1", "XP--1", "XP-1ab",
                            "XP-1/", "PB-4//64", "PB-4/6 4", "xp-1", ",XP-1", "XP-1,fit:XP-2", "XP-1 "}) {
    INFO(wrong);
    json changed = file;
    changed["steps"]["hardirq"]["figure"] = wrong;
    CHECK(refusal(changed) != "");
  }
  for (const char* right : {"XP-31", "M4", "S-2a", "PB-4/64", "PB-4/xdp.drop/rx_out", "fit:XP-1,PB-4/64,M12b"}) {
    INFO(right);
    json changed = file;
    changed["steps"]["hardirq"]["figure"] = right;
    CHECK(refusal(changed) == "");
  }
  json without = file;
  without["steps"]["hardirq"].erase("figure");
  CHECK(refusal(without) == "c.json: steps.hardirq.figure: missing; add it");
  json prior = file;
  prior["steps"]["ipi"].erase("note");
  CHECK(refusal(prior) == "c.json: steps.ipi.note: missing; what is uncalibrated says in a note where it comes from");
  json measured = prior;
  measured["steps"]["ipi"]["figure"] = "measured";
  CHECK(refusal(measured) == "c.json: steps.ipi.note: missing; what is measured says in a note where it comes from");
}

TEST_CASE("a number of another era is refused unless the file says why") {
  json changed = document();
  changed.erase("mixes_eras");
  const std::string message = refusal(changed);
  CHECK(message.find("is not the file's era; say why in mixes_eras, or use another number") != std::string::npos);
}

TEST_CASE("a missing, unknown, mistyped or mispriced step is refused") {
  const json file = document();
  json changed = file;
  changed["steps"].erase("doorbell");
  CHECK(refusal(changed) == "c.json: steps.doorbell: missing; add it");
  changed = file;
  changed["steps"]["doorbel"] = changed["steps"]["doorbell"];
  CHECK(refusal(changed) == "c.json: steps.doorbel: unknown key; did you mean \"doorbell\"?");
  changed = file;
  changed["steps"]["doorbell"]["ns"] = -1;
  CHECK(refusal(changed) == "c.json: steps.doorbell.ns: -1 is out of range; use 0.0 … 1000000000.0");
  changed["steps"]["doorbell"]["ns"] = "fast";
  CHECK(refusal(changed) == "c.json: steps.doorbell.ns: must be a number");
  changed = file;
  changed["steps"]["doorbell"]["per"] = "packet";
  CHECK(refusal(changed) == "c.json: steps.doorbell.per: \"packet\" must be \"bulk\"");
  changed = file;
  changed["steps"]["doorbell"]["ns_per_byte"] = 1;
  CHECK(refusal(changed).find("unknown key") != std::string::npos);
  changed = file;
  changed["schema"] = 2;
  CHECK(refusal(changed).find("schema") != std::string::npos);
  CHECK(refusal(json::array()) == "c.json: must be an object");
}
