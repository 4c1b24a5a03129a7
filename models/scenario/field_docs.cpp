#include "models/scenario/field_docs.hpp"

#include "models/scenario/field_reader.hpp"
#include "models/scenario/field_writer.hpp"
#include "models/scenario/json_text.hpp"
#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

namespace rxpool::scenario {

using nlohmann::json;

std::string FieldDocs::take() const {
  std::string text = "### " + (place_.empty() ? "Top level" : "`" + place_ + "`") + "\n\n";
  if (!about_.empty()) text += about_ + "\n\n";
  if (!rows_.empty()) text += "| key | values | default | meaning |\n|---|---|---|---|\n" + rows_ + "\n";
  return text + inner_;
}

void FieldDocs::row(const FieldSpec& field, const std::string& type, const std::string& default_value) {
  std::string doc(field.doc);
  if (!field.condition.empty()) doc += " Only for " + std::string(field.condition) + ".";
  rows_ += "| `" + std::string(field.name) + "` | " + type + " | " +
           (field.default_note.empty() ? default_value : std::string(field.default_note)) + " | " + doc + " |\n";
}

void FieldDocs::on_signed(const FieldSpec& field, std::int64_t& value) {
  row(field, "whole, " + range_text(field.limits), std::to_string(value));
}
void FieldDocs::on_unsigned(const FieldSpec& field, std::uint64_t& value) {
  row(field, "whole, " + range_text(field.limits), std::to_string(value));
}
void FieldDocs::on_double(const FieldSpec& field, double& value) {
  row(field, range_text(field.limits), FieldWriter::number(value).dump());
}
void FieldDocs::on_bool(const FieldSpec& field, bool& value) {
  row(field, "true, false", value ? "true" : "false");
}
void FieldDocs::on_text(const FieldSpec& field, std::string& value) {
  row(field, "text", value.empty() ? "" : "`" + value + "`");
}

void FieldDocs::on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) {
  std::string all;
  for (const std::string_view name : names) all += (all.empty() ? "" : ", ") + FieldWriter::option(names, name).dump();
  row(field, all, FieldWriter::option(names, names[index]).dump());
}

void FieldDocs::on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) {
  row(field, short_form.empty() ? "object" : "object, or its `" + std::string(short_form) + "`", "");
  FieldDocs inner(join_place(place_, field.name), "");
  object.visit(inner);
  if (!inner.rows_.empty()) inner_ += inner.take();
}

void FieldDocs::on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) {
  row(field, short_form.empty() ? "objects by name" : "objects by name, or their `" + std::string(short_form) + "`",
      "");
  FieldDocs inner(join_place(place_, field.name) + ".<name>", "");
  children.visit_prototype(inner);
  inner_ += inner.take();
}

void FieldDocs::on_values(const FieldSpec& field, std::map<std::string, ParamValue>&) {
  row(field, "names with plain values", "");
}
void FieldDocs::on_numbers(const FieldSpec& field, std::map<std::string, double>&) {
  row(field, "names with numbers, " + range_text(field.limits), "");
}

}  // namespace rxpool::scenario

namespace rxpool {

namespace {

std::string driver_table_markdown() {
  std::string text =
      "### Defaults by driver\n\n| driver | rx_ring | smallest | largest | step | rx_usecs | rx_frames | adaptive_rx | "
      "indirection_size | link_gbps | stats_block_usecs | buffer_kib | pool_size |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const scenario::DriverDefaults& d : scenario::driver_table) {
    const auto cell = [&](const std::string& value) { text += " " + value + " |"; };
    text += "|";
    cell(std::string(d.name));
    cell(std::to_string(d.rx_ring));
    cell(std::to_string(d.rx_ring_min));
    cell(std::to_string(d.rx_ring_max));
    cell(d.ring_power_of_two ? "power of two" : std::to_string(d.ring_multiple));
    cell(std::to_string(d.rx_usecs));
    cell(std::to_string(d.rx_frames));
    cell(d.adaptive_rx ? "true" : "false");
    cell(std::to_string(d.indirection_size));
    cell(scenario::FieldWriter::number(d.link_gbps).dump());
    cell(std::to_string(d.stats_block_usecs));
    cell(scenario::FieldWriter::number(d.buffer_kib).dump());
    cell(d.pool_size == scenario::PoolSizeRule::none
             ? "no pool"
             : std::to_string(scenario::default_pool_size(d.driver, d.rx_ring)));
    text += "\n";
  }
  return text + "\n";
}

std::string event_paths_markdown() {
  std::string text = "### What an event can change\n\n";
  for (const std::string_view path : scenario::event_paths()) text += "- `" + std::string(path) + "`\n";
  return text;
}

}  // namespace

std::string scenario_page(const std::string& page) {
  static constexpr std::string_view begin_marker = "<!-- generated: begin -->\n";
  static constexpr std::string_view end_marker = "<!-- generated: end -->\n";
  const std::size_t begin = page.find(begin_marker);
  const std::size_t end = page.find(end_marker);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    throw InputError("docs/scenario-format.md: the markers of its generated part are missing");
  }
  Scenario defaults;
  scenario::FieldDocs visitor("", "");
  scenario::fields(visitor, defaults);
  return page.substr(0, begin + begin_marker.size()) + "\n" + visitor.take() + driver_table_markdown() +
         event_paths_markdown() + "\n" + page.substr(end);
}

}  // namespace rxpool
