#include "models/scenario/events.hpp"

#include <algorithm>

#include "models/scenario/field_writer.hpp"
#include "models/scenario/json_text.hpp"
#include "models/scenario/overrides.hpp"
#include "sim/error.hpp"

namespace rxpool::scenario {

using nlohmann::json;

const std::vector<std::string_view>& event_paths() {
  static const std::vector<std::string_view> paths = {
      "nics.*.rx_queues.*.cpu",
      "nics.*.rx_queues.*.rx_ring",
      "nics.*.link_gbps",
      "nics.*.link_up",
      "policies.*",
      "sockets.*.reader.paused",
      "traffic.*.rate_pps",
      "xsks.*.application.paused",
      "pmds.*.application.paused",
  };
  return paths;
}

namespace {

std::string path_list() {
  std::string all;
  for (const std::string_view path : event_paths()) all += (all.empty() ? "" : ", ") + std::string(path);
  return all;
}

json to_json(const ParamValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return FieldWriter::number(*number);
  return std::visit([](const auto& v) { return json(v); }, value);
}

/// What an error about the changed scenario says after its own source and place.
std::string problem_of(const std::string& text, const std::string& path) {
  const std::size_t at = text.find(path);
  if (at == std::string::npos) return text;
  const std::size_t colon = text.find(": ", at);
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

bool exists(const json& document, const std::string& path) {
  const json* at = &document;
  for (const std::string& part : split_path(path)) {
    if (!at->is_object()) return false;
    const auto found = at->find(part);
    if (found == at->end()) return false;
    at = &*found;
  }
  return true;
}

void check_change(const std::string& place, const std::string& path, const ParamValue& value, const json& resolved,
                  const LoadOptions& options, const Origin& origin) {
  const bool allowed = std::any_of(event_paths().begin(), event_paths().end(),
                                   [&](std::string_view pattern) { return matches(pattern, path); });
  if (!allowed) origin.fail(place, in_quotes(path, 120) + " cannot change at run time; these can: " + path_list());
  if (!exists(resolved, path))
    origin.fail(place, in_quotes(path, 120) + " does not exist in this scenario; check its names");
  const auto* number = std::get_if<double>(&value);
  if (matches("traffic.*.rate_pps", path) && number != nullptr && *number == 0) return;  // a source may be stopped
  json changed = resolved;
  set_path(changed, path, to_json(value), origin);
  LoadOptions again = options;
  again.source_name = "change";
  again.overrides.clear();
  try {
    load_scenario(changed.dump(), again);
  } catch (const InputError& error) {
    origin.fail(place, printable(path, 120) + ": " + problem_of(error.what(), path));
  }
}

/// DR-40: a ring is restarted where its memory is a page_pool of its own.
void check_restart(const std::string& place, const std::string& path, const Scenario& scenario, const Origin& origin) {
  if (!matches("nics.*.rx_queues.*.rx_ring", path)) return;
  const std::vector<std::string> part = split_path(path);
  const bool polled = std::any_of(scenario.pmds.begin(), scenario.pmds.end(), [&](const auto& entry) {
    return entry.second.nic == part[1] && entry.second.queue == part[3];
  });
  for (const auto& [name, socket] : scenario.sockets) {
    if (socket.reader.busy_poll.us == 0) continue;
    origin.fail(place, in_quotes(path, 120) + ": sockets." + name +
                           ".reader.busy_poll may poll any queue, and while it does no ring is restarted; drop this " +
                           "change or the polling");
  }
  if (polled || scenario.nics.at(part[1]).rx_queues.at(part[3]).napi_busy_poll) {
    origin.fail(place, in_quotes(path, 120) + ": the ring of a queue that is polled without interrupts is not " +
                           "restarted; drop this change or the polling");
  }
  switch (scenario.nics.at(part[1]).driver) {
    case Driver::mlx5:
    case Driver::mlx5_striding:
    case Driver::ice:
    case Driver::vmxnet3:
      break;
    default:
      origin.fail(place,
                  in_quotes(path, 120) + ": only rings of mlx5, mlx5_striding, ice and vmxnet3 can be restarted");
  }
  for (const auto& [name, xsk] : scenario.xsks) {
    if (xsk.nic == part[1] && xsk.queue == part[3]) {
      origin.fail(place, in_quotes(path, 120) + ": xsks." + name + " is bound to that queue; it cannot be restarted");
    }
  }
}

}  // namespace

void check_events(const Scenario& scenario, const json& resolved, const LoadOptions& options, const Origin& origin) {
  json without_events = resolved;
  without_events.erase("events");
  for (const auto& [name, event] : scenario.events) {
    const std::string place = "events." + name + ".set";
    if (event.set.empty()) origin.fail(place, "missing; say what changes: {\"nics.nic0.link_up\": false}");
    for (const auto& [path, value] : event.set) {
      check_change(place, path, value, without_events, options, origin);
      check_restart(place, path, scenario, origin);
    }
  }
}

}  // namespace rxpool::scenario
