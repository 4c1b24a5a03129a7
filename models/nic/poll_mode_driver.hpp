#pragma once
// A poll-mode driver in user space with its application, as DPDK's l2fwd or ixy's forwarder: one thread that never
// sleeps on packets.
//
//     look at the ring -> burst of packets, each replaced by a free mbuf -> work on each
//         -> free sent mbufs -> send burst -> doorbell -> look again                       (when it forwards)
//
// No interrupt, no softirq, no skb, no page_pool. Steps: one receive burst; one packet; sixteen completions; the send
// burst; its doorbell. Looks that find nothing are worked off in one go up to the first that may find something. Rules
// PM-1 to PM-6. Leaves out: several queues to a thread, other threads' mempool caches, packets in several mbufs, the
// packets' moments in traces.

#include <cstdint>
#include <string>
#include <vector>

#include "models/cpu/application.hpp"
#include "models/cpu/core.hpp"
#include "models/cpu/sleep_timer.hpp"
#include "models/journal.hpp"
#include "models/nic/mempool_buffers.hpp"
#include "models/nic/port.hpp"
#include "models/nic/tx_queue.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

/// struct rte_eth_stats as far as this side keeps it, and what the thread's looks found.
struct PollModeStats {
  std::uint64_t ipackets = 0;
  std::uint64_t ibytes = 0;
  std::uint64_t rx_bursts = 0;      ///< looks at the ring
  std::uint64_t empty_bursts = 0;   ///< of these, without a packet
  std::uint64_t delivered = 0;      ///< packets that the application consumed
  std::uint64_t tx_burst_full = 0;  ///< packets for which there was no transmit descriptor
};

class PollModeDriver final : public Task {
 public:
  struct Queue {
    std::uint32_t index;  ///< on its NIC
    RxRing& ring;
    Port& port;
    MempoolBuffers& buffers;
  };
  /// `transmit`: where the packets are sent to; null: the application consumes them.
  PollModeDriver(std::uint32_t burst, ApplicationParams application, Queue queue, TxQueue* transmit, Journal& journal);

  void attach(Core& core);
  Outcome step(Core& core) override;
  /// A timed change; takes effect before its next packet or look.
  void set_paused(Core& core, bool paused);

  /// Packets with their mbufs in the application's hands.
  std::uint32_t in_hand() const {
    return static_cast<std::uint32_t>(batch_.size()) - (transmit_ == nullptr ? done_ : 0);
  }
  const MempoolBuffers& mempool() const { return queue_.buffers; }
  const PollModeStats& stats() const { return stats_; }
  Histogram& latency() { return latency_; }

 private:
  enum class Phase : std::uint8_t { look, work, send, free_sent, doorbell };
  struct Mbuf {
    Packet packet;
    PageId page;
  };
  bool knows_the_ring(Core& core);
  Outcome look(Core& core);
  void look_in_vain(Core& core);
  Outcome work(Core& core);
  void one_packet(Core& core);
  Outcome send(Core& core);
  void send_burst(Core& core);
  Time private_until(const Core& core) const;

  std::uint32_t burst_;
  Application application_;
  Queue queue_;
  TxQueue* transmit_;
  Journal& journal_;
  SleepTimer timer_;
  Phase phase_ = Phase::look;
  std::vector<Mbuf> batch_;
  std::uint32_t done_ = 0;  ///< of the batch
  PollModeStats stats_;
  Histogram latency_;
};

}  // namespace rxpool
