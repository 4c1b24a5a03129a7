#pragma once
// The routing facts that bpf_fib_lookup and bpf_check_mtu answer from: links, routes and neighbours of the simulated
// host, given by the scenario. Longest prefix wins, then the order of the list. Left out: policy rules, multipath,
// VRF, source address selection, lightweight tunnels.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace rxpool::bpf {

/// IPv4 in the first 4 bytes, network order.
using IpAddress = std::array<std::uint8_t, 16>;
using MacAddress = std::array<std::uint8_t, 6>;

enum class RouteKind : std::uint8_t { unicast, local, blackhole, unreachable, prohibit };

struct FibRoute {
  bool ipv6 = false;
  IpAddress prefix{};
  std::uint32_t prefix_length = 0;
  RouteKind kind = RouteKind::unicast;
  std::uint32_t ifindex = 0;
  bool has_gateway = false;
  IpAddress gateway{};
  std::uint32_t mtu = 0;  // 0: the link's
};

struct FibNeighbour {
  bool ipv6 = false;
  IpAddress address{};
  std::uint32_t ifindex = 0;
  MacAddress mac{};
};

struct FibLink {
  std::uint32_t ifindex = 0;
  MacAddress mac{};
  std::uint32_t mtu = 1500;
  bool forwarding = true;
};

struct FibTable {
  std::vector<FibLink> links;
  std::vector<FibRoute> routes;
  std::vector<FibNeighbour> neighbours;

  const FibLink* link(std::uint32_t ifindex) const;
  const FibRoute* route(bool ipv6, const IpAddress& destination) const;
  const FibNeighbour* neighbour(bool ipv6, const IpAddress& address, std::uint32_t ifindex) const;
};

/// MTU by interface, for bpf_check_mtu where no FibTable is given.
struct MtuTable {
  struct Entry {
    std::uint32_t ifindex = 0;
    std::uint32_t mtu = 1500;
  };
  std::vector<Entry> entries;
};

/// "10.1.2.3" or "2001:db8::1"; throws InputError.
IpAddress parse_address(const std::string& text, bool& ipv6);

}  // namespace rxpool::bpf
