#include "models/scenario/overrides.hpp"

#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

namespace rxpool::scenario {

using nlohmann::json;

namespace {

/// Values that may stand for an object, and the field they are then: an override inside them opens them up.
constexpr std::pair<std::string_view, std::string_view> short_forms[] = {
    {"policies.*", "program"},
    {"nics.*.netfilter.raw_drop", "enabled"},
    {"traffic.*.sizes", "frame_bytes"},
    {"traffic.*.flows", "count"},
};

void open_short_form(json& value, const std::string& place) {
  for (const auto& [pattern, field] : short_forms) {
    if (matches(pattern, place)) value = json{{std::string(field), std::move(value)}};
  }
}

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

bool matches(std::string_view pattern, std::string_view path) {
  const auto wanted = split_path(pattern);
  const auto given = split_path(path);
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] != "*" && wanted[i] != given[i]) return false;
  }
  return true;
}

void set_path(json& document, const std::string& path, json value, const Origin& origin) {
  const auto parts = split_path(path);
  json* at = &document;
  std::string place;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) origin.fail(path, "is no path; write names with single dots between them: nics.nic0.rx_ring");
    if (parts.size() > static_cast<std::size_t>(max_depth)) origin.fail(path, "is deeper than 32 levels");
    if (!at->is_object()) {
      open_short_form(*at, place);
      if (!at->is_object())
        origin.fail(place, "is a plain value and has nothing inside; set " + printable(place) + " itself");
    }
    place = join_place(place, parts[i]);
    if (i + 1 == parts.size()) {
      (*at)[parts[i]] = std::move(value);
      return;
    }
    at = &at->emplace(parts[i], json::object()).first.value();
  }
}

void apply_overrides(json& document, const std::vector<std::pair<std::string, std::string>>& overrides,
                     const Origin& origin) {
  for (const auto& [path, text] : overrides) {
    json value = json::parse(text, nullptr, false);
    // What parses is read again strictly; what does not is a bare string: --set policies.nic0=drop.
    value = value.is_discarded()
                ? parse_json(json(text).dump(-1, ' ', false, json::error_handler_t::replace), "override " + path)
                : parse_json(text, "override " + path);
    set_path(document, path, std::move(value), origin);
  }
}

}  // namespace rxpool::scenario
