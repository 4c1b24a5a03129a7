#pragma once
// From netif_receive_skb to a socket or a drop, for one skb at a time:
//
//     netfilter raw -> conntrack -> route -> netfilter filter -> UDP or TCP: socket, or closed port
//
// Each skb is one step on the CPU that polls. Rules: docs/rules/stack.md. Leaves out (until their subjects land): GRO
// merging, RPS, forwarding, fragments.

#include <cstdint>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/journal.hpp"
#include "models/stack/skb.hpp"
#include "models/stack/skb_free.hpp"
#include "models/stack/tcp_socket.hpp"
#include "models/stack/udp_socket.hpp"

namespace rxpool {

/// What one NIC's packets meet.
struct NetfilterParams {
  /// A rule that drops.
  struct DropRule {
    bool enabled = false;
    std::uint8_t ip_protocol = 0;        ///< 0: any
    std::uint16_t destination_port = 0;  ///< 0: any
    bool drops(const Packet& packet) const {
      return enabled && (ip_protocol == 0 || ip_protocol == packet.ip_protocol) &&
             (destination_port == 0 || destination_port == packet.destination_port);
    }
  };
  DropRule raw_drop;
  DropRule filter_drop;
  std::uint32_t filter_rules = 0;  ///< passed by a packet in the loaded tables
  bool conntrack = false;
};

struct StackStats {
  std::uint64_t udp_no_ports = 0;  ///< UdpNoPorts
  std::uint64_t icmp_out_dest_unreachs = 0;
};

class Stack {
 public:
  Stack(SkbSlab& slab, SkbFree& free, Journal& journal) : slab_(slab), free_(free), journal_(journal) {}

  void add(UdpSocket& socket) { udp_sockets_.push_back(&socket); }
  void add(TcpSocket& socket) { tcp_sockets_.push_back(&socket); }
  /// __netif_receive_skb_core and on. False: the core must wait first, nothing has happened.
  bool receive(Core& core, SkbId id, const NetfilterParams& rules);

  const StackStats& stats() const { return stats_; }

 private:
  UdpSocket* lookup_udp(const Packet& packet) const;
  TcpSocket* lookup_tcp(const Packet& packet) const;
  bool receive_tcp(Core& core, SkbId id, TcpSocket& socket);
  bool drop(Core& core, SkbId id, Fate fate);
  void wake_reader(Core& core, Socket& socket);
  bool wakes_reader(Core& core, Socket& socket);

  SkbSlab& slab_;
  SkbFree& free_;
  Journal& journal_;
  std::vector<UdpSocket*> udp_sockets_;
  std::vector<TcpSocket*> tcp_sockets_;
  StackStats stats_;
};

}  // namespace rxpool
