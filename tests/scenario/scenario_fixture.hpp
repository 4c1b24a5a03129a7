#pragma once
// Scenarios as text for the tests: a small one, one that names something of every kind, and the message of an error.

#include <filesystem>
#include <string>

#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

namespace rxpool {

inline std::string source_path(const std::string& path) {
  return std::filesystem::weakly_canonical(std::filesystem::path(RXPOOL_SOURCE_DIR) / path).string();
}

inline LoadOptions test_options() {
  LoadOptions options;
  options.source_name = "test.json";
  options.folder = source_path("scenarios");
  return options;
}

inline const std::string small_scenario = R"({
  "cpus": {"cpu0": {}, "cpu1": {}},
  "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}}}},
  "sockets": {"app": {"port": 4000, "cpu": "cpu1"}},
  "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000}}
})";

/// At least one child in everything that is keyed by name, every kind of traffic.
inline const std::string rich_scenario = R"({
  "cpus": {"cpu0": {}, "cpu1": {}},
  "memory": {"background": {"cache": {"pages_per_ms": 10, "reclaimable": true}}},
  "nics": {"nic0": {"rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu1", "napi_threaded": true}},
                    "rss": {"indirection": {"rx0": 1, "rx1": 3}},
                    "ntuple": {"dns": {"protocol": "udp", "dst_port": 53, "src": "198.18.0.0/16", "queue": "rx1"}}}},
  "xsks": {"user": {"nic": "nic0", "queue": "rx0", "cpu": "cpu1", "application": {"pauses": {"gc": {"for_ms": 1}}}}},
  "sockets": {"app": {"port": 4000, "cpu": "cpu1", "reader": {"pauses": {"gc": {"at_ms": 1, "for_ms": 1, "every_ms": 5}}}}},
  "traffic": {
    "a_constant": {"nic": "nic0", "kind": "constant", "rate_gbps": 1, "schedule": {"up": {"at_ms": 1, "factor": 2}}},
    "b_poisson": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000, "sizes": {"kind": "empirical", "weights": {"64": 1, "1518": 3}}},
    "c_mmpp": {"nic": "nic0", "kind": "mmpp", "states": {"low": {"rate_pps": 1000, "mean_us": 100}, "high": {"rate_pps": 9000, "mean_us": 10}}},
    "d_on_off": {"nic": "nic0", "kind": "on_off", "rate_pps": 1000, "flows": {"count": 5, "protocol": "tcp", "tcp_flags": 2}},
    "e_incast": {"nic": "nic0", "kind": "incast", "rate_pps": 100000, "sizes": 128, "flows": {"ip_version": 6}},
    "f_flood": {"nic": "nic0", "kind": "flood", "rate_pps": 1000, "sizes": {"kind": "imix"}}},
  "policies": {"nic0": {"program": "pass", "params": {"port": 53, "strict": true, "name": "x"}}},
  "events": {"down": {"at_ms": 5, "set": {"nics.nic0.link_up": false}}},
  "headline": {"component": "nics.nic0", "metric": "held_max", "figure": 1, "unit": "pages", "source": "XP-1"}
})";

inline Scenario load_text(const std::string& text, std::vector<std::pair<std::string, std::string>> overrides = {}) {
  LoadOptions options = test_options();
  options.overrides = std::move(overrides);
  return load_scenario(text, options);
}

/// The message with which the scenario is refused; empty when it is accepted.
inline std::string refusal(const std::string& text, std::vector<std::pair<std::string, std::string>> overrides = {}) {
  try {
    load_text(text, std::move(overrides));
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace rxpool
