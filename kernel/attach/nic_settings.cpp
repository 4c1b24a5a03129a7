#include "kernel/attach/nic_settings.hpp"

#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "kernel/live/system.hpp"

namespace rxpool::attach {
namespace {

// ethtool's commands end in arrays whose length is asked for first: memory for one of `bytes`.
template <typename Command>
class Buffer {
 public:
  explicit Buffer(std::size_t bytes) : words_((bytes + 7) / 8) {}
  Command* operator->() { return reinterpret_cast<Command*>(words_.data()); }
  void* data() { return words_.data(); }
  /// Where the array begins: behind the head.
  char* tail() { return reinterpret_cast<char*>(words_.data()) + sizeof(Command); }

 private:
  std::vector<std::uint64_t> words_;
};

template <typename Plain>
nlohmann::json bytes_of(const Plain& value) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  return std::vector<std::uint8_t>(bytes, bytes + sizeof(Plain));
}

template <typename Plain>
Plain from_bytes(const nlohmann::json& json) {
  const auto bytes = json.get<std::vector<std::uint8_t>>();
  if (bytes.size() != sizeof(Plain)) {
    throw std::runtime_error("saved settings of another version");
  }
  Plain value;
  std::memcpy(&value, bytes.data(), sizeof(Plain));
  return value;
}

template <typename Plain>
bool same(const Plain& one, const Plain& other) {
  return std::memcmp(&one, &other, sizeof(Plain)) == 0;
}

}  // namespace

nlohmann::json NicSettings::to_json() const {
  nlohmann::json json = nlohmann::json::object();
  if (rings) {
    json["rings"] = bytes_of(*rings);
  }
  if (channels) {
    json["channels"] = bytes_of(*channels);
  }
  if (coalescing) {
    json["coalescing"] = bytes_of(*coalescing);
  }
  if (rss) {
    json["rss"] = {{"function", rss->function}, {"indirection", rss->indirection}, {"key", rss->key}};
  }
  if (ntuple) {
    json["ntuple"] = *ntuple;
  }
  json["rules"] = nlohmann::json::array();
  for (const ethtool_rx_flow_spec& rule : rules) {
    json["rules"].push_back(bytes_of(rule));
  }
  return json;
}

NicSettings NicSettings::from_json(const nlohmann::json& json) {
  NicSettings settings;
  if (json.contains("rings")) {
    settings.rings = from_bytes<ethtool_ringparam>(json["rings"]);
  }
  if (json.contains("channels")) {
    settings.channels = from_bytes<ethtool_channels>(json["channels"]);
  }
  if (json.contains("coalescing")) {
    settings.coalescing = from_bytes<ethtool_coalesce>(json["coalescing"]);
  }
  if (json.contains("rss")) {
    RssSettings& rss = settings.rss.emplace();
    json["rss"].at("function").get_to(rss.function);
    json["rss"].at("indirection").get_to(rss.indirection);
    json["rss"].at("key").get_to(rss.key);
  }
  if (json.contains("ntuple")) {
    settings.ntuple = json["ntuple"].get<bool>();
  }
  for (const auto& rule : json.at("rules")) {
    settings.rules.push_back(from_bytes<ethtool_rx_flow_spec>(rule));
  }
  return settings;
}

Nic::Nic(std::string name)
    : name_(std::move(name)),
      index_(static_cast<int>(if_nametoindex(name_.c_str()))),
      socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  if (index_ == 0 || name_.size() >= IFNAMSIZ) {
    throw std::runtime_error(name_ + ": no such interface here");
  }
}

Nic::~Nic() {
  close(socket_);
}

bool Nic::call(void* command) const {
  ifreq request{};
  std::strncpy(request.ifr_name, name_.c_str(), IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(command);
  return ioctl(socket_, SIOCETHTOOL, &request) == 0;
}

template <typename Command>
std::optional<Command> Nic::get(std::uint32_t number) const {
  Command command{};
  command.cmd = number;
  return call(&command) ? std::optional(command) : std::nullopt;
}

std::optional<RssSettings> Nic::rss() const {
  Buffer<ethtool_rxfh> sizes(sizeof(ethtool_rxfh));
  sizes->cmd = ETHTOOL_GRSSH;
  if (!call(sizes.data()) || (sizes->indir_size == 0 && sizes->key_size == 0)) {
    return std::nullopt;
  }
  const std::size_t table = sizes->indir_size * sizeof(std::uint32_t);
  Buffer<ethtool_rxfh> command(sizeof(ethtool_rxfh) + table + sizes->key_size);
  command->cmd = ETHTOOL_GRSSH;
  command->indir_size = sizes->indir_size;
  command->key_size = sizes->key_size;
  if (!call(command.data())) {
    return std::nullopt;
  }
  RssSettings rss{.function = command->hfunc,
                  .indirection = std::vector<std::uint32_t>(sizes->indir_size),
                  .key = std::vector<std::uint8_t>(sizes->key_size)};
  std::memcpy(rss.indirection.data(), command.tail(), table);
  std::memcpy(rss.key.data(), command.tail() + table, sizes->key_size);
  return rss;
}

bool Nic::set_rss(const RssSettings& wanted) const {
  const std::size_t table = wanted.indirection.size() * sizeof(std::uint32_t);
  Buffer<ethtool_rxfh> command(sizeof(ethtool_rxfh) + table + wanted.key.size());
  command->cmd = ETHTOOL_SRSSH;
  command->hfunc = wanted.function;
  command->indir_size = static_cast<std::uint32_t>(wanted.indirection.size());
  command->key_size = static_cast<std::uint32_t>(wanted.key.size());
  std::memcpy(command.tail(), wanted.indirection.data(), table);
  std::memcpy(command.tail() + table, wanted.key.data(), wanted.key.size());
  return call(command.data());
}

std::vector<ethtool_rx_flow_spec> Nic::rules() const {
  std::vector<ethtool_rx_flow_spec> rules;
  Buffer<ethtool_rxnfc> count(sizeof(ethtool_rxnfc));
  count->cmd = ETHTOOL_GRXCLSRLCNT;
  if (!call(count.data()) || count->rule_cnt == 0) {
    return rules;
  }
  Buffer<ethtool_rxnfc> all(sizeof(ethtool_rxnfc) + count->rule_cnt * sizeof(std::uint32_t));
  all->cmd = ETHTOOL_GRXCLSRLALL;
  all->rule_cnt = count->rule_cnt;
  if (!call(all.data())) {
    return rules;
  }
  for (std::uint32_t i = 0; i < all->rule_cnt; ++i) {
    Buffer<ethtool_rxnfc> one(sizeof(ethtool_rxnfc));
    one->cmd = ETHTOOL_GRXCLSRULE;
    one->fs.location = all->rule_locs[i];
    if (call(one.data())) {
      rules.push_back(one->fs);
    }
  }
  return rules;
}

// Rules that are too many go, those that are missing come back to their place.
bool Nic::set_rules(const std::vector<ethtool_rx_flow_spec>& wanted) const {
  const auto among = [](const ethtool_rx_flow_spec& rule, const std::vector<ethtool_rx_flow_spec>& rules) {
    return std::any_of(rules.begin(), rules.end(), [&](const auto& other) { return same(rule, other); });
  };
  const std::vector<ethtool_rx_flow_spec> now = rules();
  bool done = true;
  const auto change = [&](std::uint32_t number, const ethtool_rx_flow_spec& rule) {
    Buffer<ethtool_rxnfc> command(sizeof(ethtool_rxnfc));
    command->cmd = number;
    command->fs = rule;
    done = call(command.data()) && done;
  };
  for (const ethtool_rx_flow_spec& rule : now) {
    if (!among(rule, wanted)) {
      change(ETHTOOL_SRXCLSRLDEL, rule);
    }
  }
  for (const ethtool_rx_flow_spec& rule : wanted) {
    if (!among(rule, now)) {
      change(ETHTOOL_SRXCLSRLINS, rule);
    }
  }
  return done;
}

bool Nic::set_ntuple(bool on) const {
  auto flags = get<ethtool_value>(ETHTOOL_GFLAGS);
  if (!flags) {
    return false;
  }
  flags->cmd = ETHTOOL_SFLAGS;
  flags->data = on ? flags->data | ETH_FLAG_NTUPLE : flags->data & ~static_cast<std::uint32_t>(ETH_FLAG_NTUPLE);
  return call(&*flags);
}

NicSettings Nic::settings() const {
  NicSettings now;
  now.rings = get<ethtool_ringparam>(ETHTOOL_GRINGPARAM);
  now.channels = get<ethtool_channels>(ETHTOOL_GCHANNELS);
  now.coalescing = get<ethtool_coalesce>(ETHTOOL_GCOALESCE);
  now.rss = rss();
  if (const auto flags = get<ethtool_value>(ETHTOOL_GFLAGS)) {
    now.ntuple = (flags->data & ETH_FLAG_NTUPLE) != 0;
  }
  now.rules = rules();
  return now;
}

void Nic::set_rx_ring(std::uint32_t entries) const {
  auto rings = get<ethtool_ringparam>(ETHTOOL_GRINGPARAM);
  if (entries == 0 || (rings && rings->rx_pending == entries)) {
    return;
  }
  if (!rings) {
    throw Unavailable(name_ + ": its driver has no ring to set");
  }
  rings->cmd = ETHTOOL_SRINGPARAM;
  rings->rx_pending = entries;
  if (!call(&*rings)) {
    fail(name_ + ": RX ring of " + std::to_string(entries));
  }
}

// Combined channels where the driver has them: they are what a queue with its interrupt is.
void Nic::set_rx_queues(std::uint32_t queues) const {
  auto channels = get<ethtool_channels>(ETHTOOL_GCHANNELS);
  if (queues == 0 || (channels && channels->combined_count + channels->rx_count == queues)) {
    return;
  }
  if (!channels) {
    throw Unavailable(name_ + ": its driver has no channels to set");
  }
  channels->cmd = ETHTOOL_SCHANNELS;
  (channels->max_combined != 0 ? channels->combined_count : channels->rx_count) = queues;
  if (!call(&*channels)) {
    fail(name_ + ": " + std::to_string(queues) + " RX queues");
  }
}

// Channels first: changing them may reset the ring sizes and the indirection table.
std::vector<std::string> Nic::restore(const NicSettings& wanted) const {
  std::vector<std::string> lost;
  const auto set = [&](const char* what, const auto& want, const auto& now, std::uint32_t number) {
    if (!want || (now && same(*want, *now))) {
      return;
    }
    auto command = *want;
    command.cmd = number;
    if (!call(&command)) {
      lost.push_back(std::string(what) + ": " + std::strerror(errno));
    }
  };
  set("channels", wanted.channels, get<ethtool_channels>(ETHTOOL_GCHANNELS), ETHTOOL_SCHANNELS);
  set("rings", wanted.rings, get<ethtool_ringparam>(ETHTOOL_GRINGPARAM), ETHTOOL_SRINGPARAM);
  set("coalescing", wanted.coalescing, get<ethtool_coalesce>(ETHTOOL_GCOALESCE), ETHTOOL_SCOALESCE);
  if (wanted.rss && wanted.rss != rss() && !set_rss(*wanted.rss)) {
    lost.push_back(std::string("rss: ") + std::strerror(errno));
  }
  if (wanted.ntuple && wanted.ntuple != settings().ntuple && !set_ntuple(*wanted.ntuple)) {
    lost.push_back(std::string("ntuple: ") + std::strerror(errno));
  }
  if (!set_rules(wanted.rules)) {
    lost.push_back(std::string("rules: ") + std::strerror(errno));
  }
  return lost;
}

std::vector<std::pair<std::string, std::uint64_t>> Nic::counters() const {
  std::vector<std::pair<std::string, std::uint64_t>> result;
  const auto info = get<ethtool_drvinfo>(ETHTOOL_GDRVINFO);
  if (!info || info->n_stats == 0) {
    return result;
  }
  Buffer<ethtool_gstrings> names(sizeof(ethtool_gstrings) + std::size_t{info->n_stats} * ETH_GSTRING_LEN);
  names->cmd = ETHTOOL_GSTRINGS;
  names->string_set = ETH_SS_STATS;
  names->len = info->n_stats;
  Buffer<ethtool_stats> values(sizeof(ethtool_stats) + info->n_stats * sizeof(std::uint64_t));
  values->cmd = ETHTOOL_GSTATS;
  values->n_stats = info->n_stats;
  if (!call(names.data()) || !call(values.data())) {
    return result;
  }
  for (std::uint32_t i = 0; i < info->n_stats; ++i) {
    const char* name = names.tail() + std::size_t{i} * ETH_GSTRING_LEN;
    std::uint64_t value = 0;
    std::memcpy(&value, values.tail() + i * sizeof(value), sizeof(value));
    result.emplace_back(std::string(name, strnlen(name, ETH_GSTRING_LEN)), value);
  }
  return result;
}

}  // namespace rxpool::attach
