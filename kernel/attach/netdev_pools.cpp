#include "kernel/attach/netdev_pools.hpp"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>

namespace rxpool::attach {
namespace {

// Numbers of the kernel's interface (Documentation/netlink/specs/netdev.yaml), newer than the headers here.
constexpr std::uint8_t command_page_pool_get = 5;
constexpr std::uint8_t command_page_pool_stats_get = 9;
constexpr std::uint16_t attribute_id = 1, attribute_ifindex = 2, attribute_inflight = 4;
constexpr std::uint16_t attribute_stats_info = 1, attribute_first_statistic = 8;
constexpr std::array statistics = {"rx_pp_alloc_fast",        "rx_pp_alloc_slow",          "rx_pp_alloc_slow_ho",
                                   "rx_pp_alloc_empty",       "rx_pp_alloc_refill",        "rx_pp_alloc_waive",
                                   "rx_pp_recycle_cached",    "rx_pp_recycle_cache_full",  "rx_pp_recycle_ring",
                                   "rx_pp_recycle_ring_full", "rx_pp_recycle_released_ref"};

using Attributes = std::map<std::uint16_t, std::string>;

Attributes attributes_of(const char* data, std::size_t size) {
  Attributes found;
  while (size >= sizeof(nlattr)) {
    nlattr head;
    std::memcpy(&head, data, sizeof(head));
    if (head.nla_len < sizeof(head) || head.nla_len > size) {
      break;
    }
    found[head.nla_type & NLA_TYPE_MASK] = std::string(data + NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
    const std::size_t step = std::min<std::size_t>(NLA_ALIGN(head.nla_len), size);
    data += step;
    size -= step;
  }
  return found;
}

// An unsigned integer of 4 or 8 bytes; 0 where it is not there.
std::uint64_t number(const Attributes& attributes, std::uint16_t type) {
  const auto found = attributes.find(type);
  std::uint64_t value = 0;
  if (found != attributes.end()) {
    std::memcpy(&value, found->second.data(), std::min(sizeof(value), found->second.size()));
  }
  return value;
}

class Generic {
 public:
  Generic() : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)) {}
  ~Generic() { close(socket_); }
  Generic(const Generic&) = delete;
  Generic& operator=(const Generic&) = delete;

  /// Every answer's attributes; nothing, and errno, if the kernel refused.
  bool ask(std::uint16_t family, std::uint8_t command, std::uint16_t flags, const std::string& payload,
           const std::function<void(const Attributes&)>& take) const {
    std::string request(NLMSG_SPACE(GENL_HDRLEN), '\0');
    request += payload;
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(request.size());
    head.nlmsg_type = family;
    head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(request.data(), &head, sizeof(head));
    const genlmsghdr generic{.cmd = command, .version = 1, .reserved = 0};
    std::memcpy(request.data() + NLMSG_HDRLEN, &generic, sizeof(generic));
    if (send(socket_, request.data(), request.size(), 0) < 0) {
      return false;
    }
    std::array<char, 32768> answer{};
    for (;;) {
      ssize_t left = recv(socket_, answer.data(), answer.size(), 0);
      if (left < 0) {
        return false;
      }
      const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
      for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
          // Both carry an error number: 0 where all went well.
          int error = 0;
          std::memcpy(&error, NLMSG_DATA(message), sizeof(error));
          errno = -error;
          return error == 0;
        }
        const auto* data = static_cast<const char*>(NLMSG_DATA(message));
        take(attributes_of(data + GENL_HDRLEN, message->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN));
        if ((message->nlmsg_flags & NLM_F_MULTI) == 0) {
          return true;
        }
      }
    }
  }

  std::optional<std::uint16_t> family(const char* name) const {
    std::string payload(NLA_HDRLEN, '\0');
    const std::string text(name, std::strlen(name) + 1);
    const nlattr head{.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + text.size()),
                      .nla_type = CTRL_ATTR_FAMILY_NAME};
    std::memcpy(payload.data(), &head, sizeof(head));
    payload += text;
    payload.resize(NLA_ALIGN(payload.size()));
    std::optional<std::uint16_t> id;
    ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, payload, [&](const Attributes& attributes) {
      id = static_cast<std::uint16_t>(number(attributes, CTRL_ATTR_FAMILY_ID));
    });
    return id;
  }

 private:
  int socket_;
};

}  // namespace

NetdevPools netdev_pools(int interface_index) {
  NetdevPools result;
  const Generic generic;
  const auto family = generic.family("netdev");
  if (!family) {
    result.missing = "the kernel has no netlink family netdev";
    return result;
  }
  const auto index = static_cast<std::uint64_t>(interface_index);
  const bool listed = generic.ask(*family, command_page_pool_get, NLM_F_DUMP, "", [&](const Attributes& attributes) {
    if (number(attributes, attribute_ifindex) == index) {
      result.pools.push_back({.id = static_cast<std::uint32_t>(number(attributes, attribute_id)),
                              .inflight = number(attributes, attribute_inflight),
                              .counts = {}});
    }
  });
  if (!listed) {
    result.missing = std::string("page-pool-get: ") + std::strerror(errno);
  } else if (result.pools.empty()) {
    result.missing = "page-pool-get: the driver does not name its device to the pool";
  } else if (!generic.ask(*family, command_page_pool_stats_get, NLM_F_DUMP, "", [&](const Attributes& attributes) {
               const std::string nested =
                   attributes.count(attribute_stats_info) != 0 ? attributes.at(attribute_stats_info) : std::string();
               const std::uint64_t id = number(attributes_of(nested.data(), nested.size()), attribute_id);
               for (NetdevPool& pool : result.pools) {
                 for (std::size_t i = 0; pool.id == id && i < statistics.size(); ++i) {
                   pool.counts[statistics[i]] =
                       number(attributes, static_cast<std::uint16_t>(attribute_first_statistic + i));
                 }
               }
             })) {
    result.missing = std::string("page-pool-stats-get: ") + std::strerror(errno);
  }
  return result;
}

}  // namespace rxpool::attach
