#pragma once
// The stack of the reference engine: netfilter, UDP sockets (SK-30 to SK-34), TCP sockets (TC-30 to TC-36; what a
// connection answers is the simulator's own TcpConnection), readers, and the ways an skb's page gets
// home (SK-40 to SK-44).

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/journal.hpp"
#include "models/scenario/scenario.hpp"
#include "models/stack/tcp_connection.hpp"
#include "sim/random.hpp"
#include "tests/oracles/reference_cpu.hpp"
#include "tests/oracles/reference_ring.hpp"

namespace rxpool::reference {

struct Skb {
  Packet packet;
  Buffers* buffers = nullptr;
  PageId page = no_page;
  std::uint32_t truesize = 0;
  Cpu* allocated_on = nullptr;
  Time visible;
};
using SkbPtr = std::shared_ptr<Skb>;

class Frees;

class DeferList final : public DeferredFrees {
 public:
  Job flush(Cpu& cpu) override;
  std::deque<SkbPtr> skbs;
  std::uint32_t count = 0;

 private:
  std::size_t visible(Time now) const;
};

class Frees {
 public:
  explicit Frees(std::uint32_t defer_max) : defer_max_(defer_max) {}
  void add(Cpu& cpu);
  static void free(Cpu& cpu, const Skb& skb);
  void attempt_defer(Cpu& cpu, const SkbPtr& skb);
  const std::vector<std::unique_ptr<DeferList>>& lists() const { return lists_; }
  std::uint64_t deferred = 0;
  std::uint64_t rejected = 0;

 private:
  std::uint32_t defer_max_;
  std::vector<std::unique_ptr<DeferList>> lists_;
};

class Reader;

struct Socket {
  std::string name;
  std::uint16_t port = 0;
  std::uint32_t rcvbuf = 0;
  bool counts_new_packet = true;  ///< 6.15 on (SK-31)
  std::deque<SkbPtr> queue;
  std::uint32_t rmem = 0;
  std::uint32_t given_back_later = 0;
  std::size_t reader_queue = 0;
  // Memory shared with other UDP sockets (SK-35) and with a group (SK-36): bytes charged, whole pages taken.
  UdpMemory* memory = nullptr;
  MemoryCgroup* cgroup = nullptr;
  std::uint64_t charged = 0;
  std::uint64_t pages = 0;
  Reader* reader = nullptr;

  // TCP: who decides for each connection, and what waits for a gap to close.
  struct Endpoint {
    TcpConnection connection;
    TcpPeer* peer;
  };
  bool tcp = false;
  std::map<std::uint32_t, Endpoint> connections;
  std::map<std::pair<std::uint32_t, std::uint64_t>, SkbPtr> waiting;  ///< by connection and number

  TcpConnection::Arrival receive_segment(Cpu& cpu, const SkbPtr& skb);
  void copied(Cpu& cpu, const Skb& skb);
  /// Why a UDP packet is refused; empty: it is not.
  std::optional<Fate> refuses(std::uint32_t truesize) const;
  void push(SkbPtr skb, Time visible);
  SkbPtr pop();
};

/// An application may go on from then on; in the past when it may at once.
Time paused_until(const scenario::WorkParams& work, bool paused, Time now);
/// Its work on the next packet.
Time service_time(const scenario::WorkParams& work, RandomStream& stream);

class Reader final : public Process {
 public:
  Reader(const scenario::ReaderParams& params, RandomStream service, Socket& socket, Frees& frees, Journal& journal);
  void start(Cpu& cpu);
  Job unit(Cpu& cpu) override;
  void set_paused(bool paused, Time now);
  bool waits_for_packet = false;
  SkbPtr in_hand;  ///< copied, not yet freed
  std::optional<scenario::LeakParams> leak;
  std::optional<RandomStream> leak_draws;
  /// Who may be polled, by the buffers of the packets.
  std::map<const Buffers*, Napi*> napis;
  std::uint64_t busy_polled = 0;
  std::vector<SkbPtr> leaked;

 private:
  struct Alarm final : Interrupt {
    explicit Alarm(Reader& r) : Interrupt(false), reader(r) {}
    void take(Cpu& cpu) override;
    Reader& reader;
  };
  enum class Next { call, receive, busy_poll, free };
  Time may_read_at(Time now) const;
  Time enter_call(Cpu& cpu);
  void wait_for_packet(Cpu& cpu);
  Job busy_poll(Cpu& cpu);
  void sleep_until(Time at);

  const scenario::ReaderParams& params_;
  RandomStream service_;
  Socket& socket_;
  Frees& frees_;
  Journal& journal_;
  Alarm alarm_{*this};
  Time interval_{0};
  Next next_ = Next::call;
  std::uint32_t received_ = 0;
  Time next_read_{0};
  bool paused_;
  bool leaks_ = false;  ///< the one in hand
  Napi* napi_ = nullptr;
  bool owns_ = false;
  bool has_polled_ = false;
  Time deadline_{0};
};

class Stack {
 public:
  Stack(const std::vector<std::unique_ptr<Socket>>& sockets, Journal& journal) : sockets_(sockets), journal_(journal) {}
  void receive(Cpu& cpu, const SkbPtr& skb, const scenario::NetfilterParams& rules);

 private:
  const std::vector<std::unique_ptr<Socket>>& sockets_;
  Journal& journal_;
};

}  // namespace rxpool::reference
