#include "models/calibration/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

namespace rxpool {

using nlohmann::json;
using scenario::fail;
using scenario::join_place;

namespace {

/// One object of a calibration file: every member is asked for by name, what was not asked for is an error.
class Section {
 public:
  Section(const json& value, std::string source, std::string place)
      : value_(value), source_(std::move(source)), place_(std::move(place)) {
    if (!value_.is_object()) fail(source_, place_, "must be an object");
  }

  const json* optional(std::string_view name) {
    known_.push_back(name);
    const auto found = value_.find(std::string(name));
    return found == value_.end() ? nullptr : &*found;
  }
  const json& required(std::string_view name) {
    const json* found = optional(name);
    if (found == nullptr) fail(source_, at(name), "missing; add it");
    return *found;
  }
  Section section(std::string_view name) { return {required(name), source_, at(name)}; }
  std::string text(std::string_view name) {
    const json& found = required(name);
    if (!found.is_string() || found.get_ref<const std::string&>().empty()) fail(source_, at(name), "must be a text");
    return found.get<std::string>();
  }
  std::string text_or_empty(std::string_view name) {
    return value_.contains(std::string(name)) ? text(name) : (known_.push_back(name), "");
  }
  double number(std::string_view name, double min, double max) {
    const json& found = required(name);
    if (!found.is_number()) fail(source_, at(name), "must be a number");
    const double v = found.get<double>();
    if (v < min || v > max) {
      fail(source_, at(name), found.dump() + " is out of range; use " + json(min).dump() + " … " + json(max).dump());
    }
    return v;
  }
  void done() const {
    for (const auto& [name, ignored] : value_.items()) {
      bool known = false;
      for (const std::string_view k : known_) known = known || k == name;
      if (known) continue;
      const std::string_view near = scenario::nearest(name, known_);
      fail(source_, at(name),
           near.empty() ? "unknown key; remove it" : "unknown key; did you mean \"" + std::string(near) + "\"?");
    }
  }
  std::string at(std::string_view name) const { return join_place(place_, name); }
  const std::string& source() const { return source_; }

 private:
  const json& value_;
  std::string source_;
  std::string place_;
  std::vector<std::string_view> known_;
};

constexpr double max_ns = 1e9;

std::int64_t to_ps(double ns) {
  return std::llround(ns * 1000.0);
}
Time ns(double value) {
  return Time{to_ps(value)};
}

/// How many characters at the front of `text` are in `allowed`.
std::size_t leading(std::string_view text, std::string_view allowed) {
  return std::min(text.find_first_not_of(allowed), text.size());
}

/// One to three capitals, a number with or without a dash before it and a letter behind, and parts: XP-31, M4a,
/// PB-4/64.
bool is_figure_id(std::string_view id) {
  constexpr std::string_view capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view small = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view digits = "0123456789";
  const std::size_t letters = leading(id, capitals);
  if (letters < 1 || letters > 3) return false;
  id.remove_prefix(letters);
  if (id.starts_with('-')) id.remove_prefix(1);
  const std::size_t number = leading(id, digits);
  if (number == 0) return false;
  id.remove_prefix(number);
  if (leading(id, small) > 0) id.remove_prefix(1);
  while (id.starts_with('/')) {
    id.remove_prefix(1);
    const std::size_t part = leading(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    if (part == 0) return false;
    id.remove_prefix(part);
  }
  return id.empty();
}

/// Ids with commas between them, perhaps behind "fit:". Not std::regex: it takes longer than
/// all the rest of reading the file.
bool names_figures(std::string_view text) {
  if (text.starts_with("fit:")) text.remove_prefix(4);
  for (std::size_t comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    if (!is_figure_id(text.substr(0, comma))) return false;
    text.remove_prefix(comma + 1);
  }
  return is_figure_id(text);
}

/// A figure id (XP-31, PB-4/64), "fit:" and the ids fitted to, "uncalibrated" with a note where nobody published a
/// figure, or "measured" with a note that says how, on the file's own machine.
void check_figure(Section& entry, const Calibration& file) {
  const std::string figure = entry.text("figure");
  const std::string note = entry.text_or_empty("note");
  if (figure == "uncalibrated" || figure == "measured") {
    if (note.empty()) {
      fail(entry.source(), entry.at("note"), "missing; what is " + figure + " says in a note where it comes from");
    }
  } else if (!names_figures(figure)) {
    fail(entry.source(), entry.at("figure"),
         "\"" + scenario::printable(figure) +
             "\" is no figure; use an id (XP-31), fit:ID,ID, or uncalibrated or measured with a note");
  }
  const std::string era = entry.text_or_empty("era");
  if (!era.empty() && era != file.era && file.mixes_eras.empty()) {
    fail(entry.source(), entry.at("era"),
         "\"" + scenario::printable(era) + "\" is not the file's era; say why in mixes_eras, or use another number");
  }
}

double figured_number(Section& parent, std::string_view name, double min, double max, const Calibration& file) {
  Section entry = parent.section(name);
  const double value = entry.number("value", min, max);
  check_figure(entry, file);
  entry.done();
  return value;
}

void read_steps(Section steps, Calibration& file) {
  for (const StepInfo& info : calibration_steps) {
    Section entry = steps.section(info.name);
    StepCost& cost = file.steps[static_cast<std::size_t>(info.step)];
    cost.fixed = ns(entry.number("ns", 0, max_ns));
    if (entry.optional("indirect_calls") != nullptr) {
      cost.indirect_calls = static_cast<std::uint32_t>(entry.number("indirect_calls", 0, 100));
    }
    if (info.step == Step::copy_to_user) cost.ps_per_byte = to_ps(entry.number("ns_per_byte", 0, 1000));
    if (const std::string per = entry.text("per"); per != info.per) {
      fail(entry.source(), entry.at("per"),
           "\"" + scenario::printable(per) + "\" must be \"" + std::string(info.per) + "\"");
    }
    check_figure(entry, file);
    entry.done();
  }
  steps.done();
}

IdleCost read_idle(Section& idle, std::string_view name, const Calibration& file) {
  Section entry = idle.section(name);
  IdleCost state;
  state.exit = ns(entry.number("exit_ns", 0, max_ns));
  state.residency = ns(entry.number("residency_ns", 0, max_ns));
  check_figure(entry, file);
  entry.done();
  return state;
}

std::vector<std::string> read_texts(Section& parent, std::string_view name) {
  std::vector<std::string> texts;
  const json& list = parent.required(name);
  if (!list.is_array() || list.empty()) fail(parent.source(), parent.at(name), "must be a list of texts");
  for (const json& text : list) {
    if (!text.is_string()) fail(parent.source(), parent.at(name), "must be a list of texts");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

CalibrationFit read_fit(Section fit, const json& document) {
  CalibrationFit made;
  read_texts(fit, "figures");
  const std::string& source = fit.source();
  for (const auto& [name, value] : fit.required("parameters").items()) {
    Section entry(value, source, join_place(fit.at("parameters"), name));
    CalibrationFit::Parameter parameter{name, read_texts(entry, "numbers"), entry.number("factor", 1e-6, 1e6)};
    for (const std::string& number : parameter.numbers) {
      std::string pointer = "/" + number;
      std::replace(pointer.begin(), pointer.end(), '.', '/');
      if (!document.contains(json::json_pointer(pointer))) {
        fail(source, entry.at("numbers"), "\"" + scenario::printable(number) + "\" is no number of this file");
      }
    }
    for (const char* const about : {"low", "high", "standard_error"}) entry.number(about, 0, 1e6);
    read_texts(entry, "figures");
    entry.text("reason");
    entry.done();
    made.parameters.push_back(std::move(parameter));
  }
  const json& covariance = fit.required("covariance");
  const std::size_t n = made.parameters.size();
  const auto is_row = [n](const json& row) {
    return row.is_array() && row.size() == n &&
           std::all_of(row.begin(), row.end(), [](const json& v) { return v.is_number(); });
  };
  if (!covariance.is_array() || covariance.size() != n || !std::all_of(covariance.begin(), covariance.end(), is_row)) {
    fail(source, fit.at("covariance"), "must be a square matrix, one row per parameter");
  }
  made.covariance = covariance.get<std::vector<std::vector<double>>>();
  fit.done();
  return made;
}

/// The file's own members over its base's. Another NIC on the same machine differs in its driver and its bus.
json on_base(const json& base, const json& own, const std::string& source) {
  for (const char* const shared : {"llc", "idle"}) {
    if (own.contains(shared)) fail(source, shared, "belongs to the machine; only the base may say it");
  }
  const json steps = own.value("steps", json::object());
  for (const auto& [name, value] : steps.items()) {
    const auto info = std::find_if(calibration_steps.begin(), calibration_steps.end(),
                                   [&, &wanted = name](const StepInfo& step) { return step.name == wanted; });
    if (info == calibration_steps.end() || !info->driver) {
      fail(source, "steps." + name, "is no step of a driver; only the base may say it");
    }
  }
  json whole = base;
  whole.erase("note");
  whole.erase("fit");
  whole.merge_patch(own);
  whole.erase("base");
  return whole;
}

std::string base_path(const json& document, const std::string& source, const std::string& folder) {
  const auto base = document.find("base");
  if (base == document.end()) return "";
  if (!base->is_string()) fail(source, "base", "must be the name of a calibration in the same folder");
  return (std::filesystem::path(folder) / (base->get<std::string>() + ".json")).string();
}

}  // namespace

Calibration load_calibration(std::string_view text, const std::string& source_name, const std::string& folder) {
  json document = scenario::parse_json(text, source_name);
  Calibration file;
  if (const std::string path = document.is_object() ? base_path(document, source_name, folder) : ""; !path.empty()) {
    const json base = scenario::parse_json(scenario::read_text_file(path), path);
    if (base.contains("base")) fail(source_name, "base", "stands on another file itself; name that one");
    if (base.contains("fit")) file.fits.push_back(read_fit(Section(base["fit"], path, "fit"), base));
    document = on_base(base, document, source_name);
  }
  Section top(document, source_name, "");
  if (top.number("schema", 1, 1) != 1) fail(source_name, "schema", "must be 1");
  file.name = top.text("name");
  file.machine = top.text("machine");
  file.era = top.text("era");
  file.mixes_eras = top.text_or_empty("mixes_eras");
  file.drivers = read_texts(top, "drivers");
  top.text_or_empty("note");
  if (top.optional("fit") != nullptr) file.fits.push_back(read_fit(top.section("fit"), document));
  const json& provisional = top.required("provisional");
  if (!provisional.is_boolean()) fail(source_name, "provisional", "must be true or false");
  file.provisional = provisional.get<bool>();
  read_steps(top.section("steps"), file);

  Section llc = top.section("llc");
  file.llc.bytes = static_cast<std::uint64_t>(std::llround(figured_number(llc, "mib", 0.25, 4096, file) * 1048576.0));
  file.llc.ways = static_cast<std::uint32_t>(figured_number(llc, "ways", 1, 64, file));
  file.llc.ddio_ways = static_cast<std::uint32_t>(figured_number(llc, "ddio_ways", 0, file.llc.ways, file));
  llc.done();

  Section pcie = top.section("pcie");
  file.pcie.ps_per_byte = std::llround(1000.0 / figured_number(pcie, "gbytes_per_s", 0.1, 1000, file));
  file.pcie.packet = ns(figured_number(pcie, "packet_ns", 0, 1e6, file));
  file.pcie.packet_cqe_compress = ns(figured_number(pcie, "packet_ns_cqe_compress", 0, 1e6, file));
  file.pcie.tx_packet = ns(figured_number(pcie, "tx_packet_ns", 0, 1e6, file));
  file.pcie.latency = ns(figured_number(pcie, "latency_ns", 0, 1e6, file));
  pcie.done();

  Section idle = top.section("idle");
  file.idle.poll = read_idle(idle, "poll", file);
  file.idle.c1 = read_idle(idle, "c1", file);
  file.idle.deep = read_idle(idle, "deep", file);
  file.idle.cold_permille = std::llround(figured_number(idle, "cold_packets", 0, 1000, file) * 1000);
  idle.done();
  top.done();
  return file;
}

Calibration load_calibration_file(const std::string& path) {
  return load_calibration(scenario::read_text_file(path), path, std::filesystem::path(path).parent_path().string());
}

std::vector<std::string> calibration_files(const std::string& path) {
  std::vector<std::string> files = {path};
  const json document = scenario::parse_json(scenario::read_text_file(path), path);
  const std::string base =
      document.is_object() ? base_path(document, path, std::filesystem::path(path).parent_path().string()) : "";
  if (!base.empty()) files.push_back(base);
  return files;
}

}  // namespace rxpool
