#pragma once
// A TCP port with its connections and one application that reads them all, oldest segment first (an epoll loop). The
// connections decide (models/stack/tcp_connection.hpp); here skbs wait for gaps to close, acknowledgements are charged
// to the CPU that sends them and go to the peer. Rule TC-36. Leaves out: the acknowledgement's own way through qdisc
// and NIC, which takes no time here.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "models/stack/socket.hpp"
#include "models/stack/tcp_connection.hpp"

namespace rxpool {

struct TcpSocketStats {
  std::uint64_t acks = 0;          ///< acknowledgements sent
  std::uint64_t out_of_order = 0;  ///< TCPOFOQueue
  std::uint64_t old = 0;           ///< segments that were here before
  std::uint64_t no_memory = 0;     ///< refused by tcp_mem
};

class TcpSocket final : public Socket {
 public:
  TcpSocket(std::uint16_t port, SkbSlab& slab, TcpMemory& memory) : Socket(port, slab), memory_(memory) {}

  /// Before time starts, in the order of their numbers.
  void connect(const TcpConnectionParams& params, TcpPeer& peer);
  TcpConnection::Arrival judge(const TcpSegment& segment) const;
  /// Takes the segment in and acknowledges it; what waited for it can be read now too. The caller drops what is
  /// refused.
  TcpConnection::Arrival receive(Core& core, SkbId id);

  SkbId dequeue(Time now) override;
  void copied(Core& core, SkbId id) override;
  std::uint32_t out_of_order() const override { return static_cast<std::uint32_t>(waiting_.size()); }
  void for_each_out_of_order(const std::function<void(SkbId)>& visit) const override;

  const TcpSocketStats& tcp_stats() const { return tcp_stats_; }
  const TcpConnection& connection(std::uint32_t number) const { return find(number)->connection; }

 private:
  struct Endpoint {
    std::uint32_t number;
    TcpConnection connection;
    TcpPeer* peer;
  };
  struct Waiting {
    std::uint32_t connection;
    std::uint64_t number;
    SkbId id;
  };
  const Endpoint* find(std::uint32_t connection) const;
  Endpoint* find(std::uint32_t connection) { return const_cast<Endpoint*>(std::as_const(*this).find(connection)); }
  void send_acks(Core& core, Endpoint& endpoint);
  void release(const Endpoint& endpoint, Time visible);

  TcpMemory& memory_;
  std::vector<Endpoint> endpoints_;  ///< by number
  std::vector<Waiting> waiting_;     ///< by connection, then number
  TcpSocketStats tcp_stats_;
};

}  // namespace rxpool
