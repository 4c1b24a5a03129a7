#include "models/host/changes.hpp"

#include <cmath>
#include <variant>

#include "models/host/queue_restart.hpp"
#include "models/host/report.hpp"
#include "models/scenario/overrides.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

double number(const scenario::ParamValue& value) {
  return std::get<double>(value);
}

HostNic& nic_named(Host& host, const std::string& name) {
  for (const auto& nic : host.nics()) {
    if (nic->name == name) return *nic;
  }
  throw BugError("events: no NIC \"" + name + "\"");
}

}  // namespace

void TimedChange::act(Time now) {
  settle(host_, now);
  for (const auto& [path, value] : params_.set) apply(now, path, value);
}

void TimedChange::apply(Time now, const std::string& path, const scenario::ParamValue& value) {
  const std::vector<std::string> part = scenario::split_path(path);
  if (part[0] == "nics" && part.size() == 5 && part[4] == "cpu") {
    HostNic& nic = nic_named(host_, part[1]);
    for (HostQueue& queue : nic.queues) {
      if (queue.queue->name() == "nics." + part[1] + ".rx_queues." + part[3]) {
        queue.queue->set_affinity(host_.core(std::get<std::string>(value)));
      }
    }
  } else if (part[0] == "nics" && part.size() == 5) {
    host_.restarts()
        .of("nics." + part[1] + ".rx_queues." + part[3])
        .begin(now, static_cast<std::uint32_t>(number(value)));
  } else if (part[0] == "nics" && part[2] == "link_gbps") {
    HostNic& nic = nic_named(host_, part[1]);
    const auto mbps = static_cast<std::uint32_t>(number(value) * 1000 + 0.5);
    nic.port->wire().set_link(now, mbps);
    nic.tx_link->set_link(mbps);
  } else if (part[0] == "nics" && part[2] == "link_up") {
    HostNic& nic = nic_named(host_, part[1]);
    const std::uint32_t mbps = std::get<bool>(value) ? link_mbps(*nic.params) : 0;
    nic.port->wire().set_link(now, mbps);
    nic.tx_link->set_link(mbps);
  } else if (part[0] == "policies") {
    nic_named(host_, part[1]).hook.kind = hook_kind(std::get<std::string>(value));
  } else if (part[0] == "sockets") {
    for (HostSocket& socket : host_.sockets()) {
      if (socket.name == "sockets." + part[1]) {
        socket.reader->set_paused(*socket.socket->reader_core, std::get<bool>(value));
      }
    }
  } else if (part[0] == "xsks") {
    for (HostXsk& xsk : host_.xsks()) {
      if (xsk.name == "xsks." + part[1]) xsk.application->set_paused(*xsk.core, std::get<bool>(value));
    }
  } else if (part[0] == "pmds") {
    for (HostPmd& pmd : host_.pmds()) {
      if (pmd.name == "pmds." + part[1]) pmd.driver->set_paused(*pmd.core, std::get<bool>(value));
    }
  } else if (part[0] == "traffic") {
    for (const auto& nic : host_.nics()) {
      for (std::size_t i = 0; i < nic->source_names.size(); ++i) {
        if (nic->source_names[i] != part[1]) continue;
        const double initial = host_.scenario().traffic.at(part[1]).source.arrivals.rate_pps;
        nic->port->wire().set_rate_factor(static_cast<std::uint16_t>(i), now, number(value) / initial);
      }
    }
  } else {
    throw BugError("events: \"" + path + "\" was accepted but cannot be changed");
  }
}

}  // namespace rxpool
