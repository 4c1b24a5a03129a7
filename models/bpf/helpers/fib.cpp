// bpf_fib_lookup (net/core/filter.c:bpf_ipv4_fib_lookup, bpf_ipv6_fib_lookup) and bpf_check_mtu over a FibTable.

#include "models/bpf/helpers/fib.hpp"

#include <arpa/inet.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/runtime.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t known_flags = 0x3f;  // BPF_FIB_LOOKUP_DIRECT … BPF_FIB_LOOKUP_MARK
constexpr std::uint64_t skip_neighbour = 4;  // BPF_FIB_LOOKUP_SKIP_NEIGH
constexpr std::uint8_t family_ipv4 = 2;
constexpr std::uint8_t family_ipv6 = 10;

bool matches(const IpAddress& prefix, const IpAddress& address, std::uint32_t length) {
  const std::uint32_t whole = length / 8;
  if (!std::equal(prefix.begin(), prefix.begin() + whole, address.begin())) {
    return false;
  }
  const std::uint32_t mask = 0xff00U >> (length % 8) & 0xff;
  return length % 8 == 0 || ((prefix[whole] ^ address[whole]) & mask) == 0;
}

int failed_route(const FibRoute* route) {
  if (route == nullptr) {
    return BPF_FIB_LKUP_RET_NOT_FWDED;
  }
  switch (route->kind) {
    case RouteKind::blackhole:
      return BPF_FIB_LKUP_RET_BLACKHOLE;
    case RouteKind::unreachable:
      return BPF_FIB_LKUP_RET_UNREACHABLE;
    case RouteKind::prohibit:
      return BPF_FIB_LKUP_RET_PROHIBIT;
    default:
      return BPF_FIB_LKUP_RET_NOT_FWDED;  // a local address
  }
}

// Fills the parameters as far as the kernel does and gives its BPF_FIB_LKUP_RET_*.
int look_up(const FibTable& table, bpf_fib_lookup& request, std::uint64_t flags) {
  const bool ipv6 = request.family == family_ipv6;
  const FibLink* ingress = table.link(request.ifindex);
  if (ingress == nullptr) {
    return -ENODEV;
  }
  if (!ingress->forwarding) {
    return BPF_FIB_LKUP_RET_FWD_DISABLED;
  }
  IpAddress destination{};
  std::memcpy(destination.data(), request.ipv6_dst, ipv6 ? 16 : 4);
  const FibRoute* route = table.route(ipv6, destination);
  if (route == nullptr || route->kind != RouteKind::unicast) {
    return failed_route(route);
  }
  const FibLink* egress = table.link(route->ifindex);
  if (egress == nullptr) {
    return BPF_FIB_LKUP_RET_NOT_FWDED;
  }
  const std::uint32_t mtu = route->mtu != 0 ? route->mtu : egress->mtu;
  if (request.tot_len > mtu) {
    request.mtu_result = static_cast<std::uint16_t>(mtu);
    return BPF_FIB_LKUP_RET_FRAG_NEEDED;
  }
  request.mtu_result = static_cast<std::uint16_t>(mtu);
  const IpAddress& next_hop = route->has_gateway ? route->gateway : destination;
  if (route->has_gateway) {
    std::memcpy(request.ipv6_dst, next_hop.data(), ipv6 ? 16 : 4);
  }
  request.ifindex = route->ifindex;
  request.rt_metric = 0;
  request.h_vlan_proto = 0;
  request.h_vlan_TCI = 0;
  if ((flags & skip_neighbour) != 0) {
    return BPF_FIB_LKUP_RET_SUCCESS;
  }
  const FibNeighbour* neighbour = table.neighbour(ipv6, next_hop, route->ifindex);
  if (neighbour == nullptr) {
    return BPF_FIB_LKUP_RET_NO_NEIGH;
  }
  std::memcpy(request.dmac, neighbour->mac.data(), 6);
  std::memcpy(request.smac, egress->mac.data(), 6);
  return BPF_FIB_LKUP_RET_SUCCESS;
}

std::uint64_t fib_lookup(Runtime& runtime, std::uint64_t, std::uint64_t parameters, std::uint64_t length,
                         std::uint64_t flags, std::uint64_t) {
  if (static_cast<std::uint32_t>(length) < sizeof(bpf_fib_lookup) || (flags & ~known_flags) != 0) {
    return failure(-EINVAL);
  }
  const auto bytes = runtime.writable(parameters, sizeof(bpf_fib_lookup));
  bpf_fib_lookup request;
  std::memcpy(&request, bytes.data(), sizeof request);
  if (request.family != family_ipv4 && request.family != family_ipv6) {
    return failure(-EAFNOSUPPORT);
  }
  static const FibTable empty;
  const int result = look_up(runtime.fib == nullptr ? empty : *runtime.fib, request, flags);
  if (result >= 0) {
    std::memcpy(bytes.data(), &request, sizeof request);
  }
  return failure(result);
}

// MTU of an interface (0: the ingress one), or 0 if it does not exist.
std::uint32_t mtu_of(const Runtime& runtime, std::uint32_t ifindex) {
  if (runtime.fib != nullptr) {
    if (const FibLink* link = runtime.fib->link(ifindex); link != nullptr) {
      return link->mtu;
    }
  }
  if (runtime.mtu != nullptr) {
    for (const MtuTable::Entry& entry : runtime.mtu->entries) {
      if (entry.ifindex == ifindex) {
        return entry.mtu;
      }
    }
  }
  return 0;
}

std::uint64_t check_mtu(Runtime& runtime, std::uint64_t r1, std::uint64_t ifindex, std::uint64_t mtu_pointer,
                        std::uint64_t difference, std::uint64_t flags) {
  XdpMd md;
  std::memcpy(&md, runtime.readable(r1, sizeof md).data(), sizeof md);
  const auto out = runtime.writable(mtu_pointer, 4);
  if (flags != 0) {
    return failure(-EINVAL);
  }
  const std::uint32_t device =
      static_cast<std::uint32_t>(ifindex) == 0 ? md.ingress_ifindex : static_cast<std::uint32_t>(ifindex);
  const std::uint32_t mtu = mtu_of(runtime, device);
  if (mtu == 0) {
    return failure(-ENODEV);
  }
  std::uint32_t length = 0;
  std::memcpy(&length, out.data(), sizeof length);
  std::int64_t packet = length != 0 ? std::int64_t{length} + ethernet_header : std::int64_t{md.data_end} - md.data;
  packet += static_cast<std::int32_t>(difference);
  std::memcpy(out.data(), &mtu, sizeof mtu);
  return packet > std::int64_t{mtu} + ethernet_header ? BPF_MTU_CHK_RET_FRAG_NEEDED : BPF_MTU_CHK_RET_SUCCESS;
}

}  // namespace

const FibLink* FibTable::link(std::uint32_t ifindex) const {
  const auto found = std::find_if(links.begin(), links.end(), [&](const FibLink& l) { return l.ifindex == ifindex; });
  return found == links.end() ? nullptr : &*found;
}

const FibRoute* FibTable::route(bool ipv6, const IpAddress& destination) const {
  const FibRoute* best = nullptr;
  for (const FibRoute& candidate : routes) {
    if (candidate.ipv6 == ipv6 && matches(candidate.prefix, destination, candidate.prefix_length) &&
        (best == nullptr || candidate.prefix_length > best->prefix_length)) {
      best = &candidate;
    }
  }
  return best;
}

const FibNeighbour* FibTable::neighbour(bool ipv6, const IpAddress& address, std::uint32_t ifindex) const {
  for (const FibNeighbour& candidate : neighbours) {
    if (candidate.ipv6 == ipv6 && candidate.ifindex == ifindex && candidate.address == address) {
      return &candidate;
    }
  }
  return nullptr;
}

IpAddress parse_address(const std::string& text, bool& ipv6) {
  IpAddress address{};
  if (inet_pton(AF_INET, text.c_str(), address.data()) == 1) {
    ipv6 = false;
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) {
    ipv6 = true;
    return address;
  }
  throw InputError("\"" + text + "\" is no IPv4 or IPv6 address");
}

void add_fib_helpers(HelperTable& table) {
  using enum ArgKind;
  constexpr std::uint32_t hooks = hook_bit(Hook::xdp) | hook_bit(Hook::xdp_devmap) | hook_bit(Hook::xdp_cpumap);
  table.add({.id = 69, .name = {}, .fn = fib_lookup, .args = {context, memory_out, size, anything}, .hooks = hooks});
  table.add({.id = 163,
             .name = {},
             .fn = check_mtu,
             .args = {context, anything, int_out, anything, anything},
             .hooks = hooks});
}

}  // namespace rxpool::bpf
