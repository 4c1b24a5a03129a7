#pragma once
// What an attachment may change on a NIC, or what changes with it: rings, channels, interrupt coalescing, RSS
// (indirection table, key, function), the ntuple switch and its rules. Read and written over the ethtool ioctl; what a
// driver does not have is absent and stays as it is. Left out: RSS contexts other than the default, private flags.

#include <linux/ethtool.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace rxpool::attach {

struct RssSettings {
  std::uint8_t function = 0;  ///< ETH_RSS_HASH_*
  std::vector<std::uint32_t> indirection;
  std::vector<std::uint8_t> key;
  bool operator==(const RssSettings&) const = default;
};

struct NicSettings {
  std::optional<ethtool_ringparam> rings;
  std::optional<ethtool_channels> channels;
  std::optional<ethtool_coalesce> coalescing;
  std::optional<RssSettings> rss;
  std::optional<bool> ntuple;
  std::vector<ethtool_rx_flow_spec> rules;

  /// As text for the state file and the result.
  nlohmann::json to_json() const;
  /// Throws std::runtime_error when it is not one.
  static NicSettings from_json(const nlohmann::json& json);
};

class Nic {
 public:
  /// Throws std::runtime_error when there is no such interface here.
  explicit Nic(std::string name);
  ~Nic();
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;

  const std::string& name() const { return name_; }
  int index() const { return index_; }
  NicSettings settings() const;
  /// Entries of the RX ring, RX queues; 0 leaves them. Throws Unavailable when the driver refuses.
  void set_rx_ring(std::uint32_t entries) const;
  void set_rx_queues(std::uint32_t queues) const;
  /// Makes the NIC as it was; what differs and cannot be set comes back by name.
  std::vector<std::string> restore(const NicSettings& wanted) const;
  /// The driver's own counters (ethtool -S), by name.
  std::vector<std::pair<std::string, std::uint64_t>> counters() const;

 private:
  bool call(void* command) const;
  template <typename Command>
  std::optional<Command> get(std::uint32_t number) const;
  std::optional<RssSettings> rss() const;
  std::vector<ethtool_rx_flow_spec> rules() const;
  bool set_rss(const RssSettings& wanted) const;
  bool set_rules(const std::vector<ethtool_rx_flow_spec>& wanted) const;
  bool set_ntuple(bool on) const;

  std::string name_;
  int index_ = 0;
  int socket_ = -1;
};

}  // namespace rxpool::attach
