#pragma once
// One NIC of the reference engine: every arrival, transfer over PCIe and completion is an event. Steering hashes each
// packet by itself; the interrupt line looks at every completion (NA-50), DIM is written from its rules (NA-52, NA-53).

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "models/journal.hpp"
#include "models/memory/llc.hpp"
#include "models/scenario/scenario.hpp"
#include "models/traffic/source.hpp"
#include "models/traffic/tcp/source.hpp"
#include "models/traffic/toeplitz.hpp"
#include "models/traffic/wire.hpp"
#include "models/xdp/program.hpp"
#include "tests/oracles/reference_cpu.hpp"
#include "tests/oracles/reference_cpumap.hpp"
#include "tests/oracles/reference_pmd.hpp"
#include "tests/oracles/reference_redirect.hpp"
#include "tests/oracles/reference_ring.hpp"
#include "tests/oracles/reference_stack.hpp"
#include "tests/oracles/reference_tx.hpp"
#include "tests/oracles/reference_xsk.hpp"

namespace rxpool::reference {

class Nic;

/// Interrupt moderation tuned at run time.
class Dim {
 public:
  explicit Dim(bool cqe) : cqe_(cqe) {}
  /// One interrupt, with the queue's totals so far.
  void interrupt(Time now, std::uint64_t packets, std::uint64_t bytes);
  std::uint32_t usecs() const;
  std::uint32_t frames() const;

 private:
  struct Sample {
    std::int64_t bytes = 0, packets = 0, events = 0;  ///< per ms
  };
  static int compare(const Sample& now, const Sample& before);  ///< 1 better, 0 same, -1 worse
  void step();
  bool cqe_;
  int profile_ = 1;
  int direction_ = 1;  ///< 1 right, -1 left, 0 parked
  bool tired_parking_ = false;
  int right_ = 0, left_ = 0, tired_ = 0;
  Sample before_;
  bool begins_ = true;
  Time since_{0};
  std::uint64_t packets_ = 0, bytes_ = 0;
  int interrupts_ = 0;
};

class Queue final : public Napi {
 public:
  Queue(Nic& nic, std::string name, std::uint32_t index, const scenario::QueueParams& params);

  void set_affinity(Cpu& cpu);
  void make_threaded(Cpu& cpu);
  /// A poll-mode driver on that CPU has the ring.
  void give_to_user_space(Cpu& cpu) {
    line_.cpu = &cpu;
    line_.masked = true;
  }
  Job poll(Cpu& cpu) override;
  bool defer_interrupts(Cpu& cpu) override;
  void suspend_interrupts(Cpu& cpu) override;
  void resume_interrupts(Cpu& cpu) override;
  void completed() { line_.update(); }
  /// The ring of this channel takes redirected frames from now on.
  void take_redirected(PagePools& pools, bool locked, Time moderation) {
    xmit.redirected = {&pools, locked, moderation, [this] { line_.update(); }};
  }

  void disable() { disabled_ = true; }
  /// Everything in the ring is lost; the next one is empty.
  void take_down(MemoryContext& context, std::uint32_t new_size);
  void bring_up(Time now);
  const Cpu& irq_cpu() const { return *line_.cpu; }

  /// Whose CPU polls it.
  const Cpu& poll_cpu() const { return process_ != nullptr ? *process_->home : *line_.cpu; }
  /// ndo_xsk_wakeup.
  void wake_up(Cpu& by);

  const std::string name;
  const scenario::QueueParams& params;
  Ring ring;
  std::unique_ptr<Buffers> buffers;
  std::deque<std::uint32_t> asked_rings;          ///< sizes that restarts will give it, one after the other
  std::vector<std::unique_ptr<Buffers>> retired;  ///< of earlier rings; skbs may hold their pages
  std::vector<std::uint16_t> retired_pools;       ///< ids
  std::deque<SkbPtr> normal_list;
  TxRing xdp_tx;
  TxRing xmit;  ///< of redirected frames
  Redirect redirect;
  CpumapBulks cpumap_bulks;
  bool polled = false;        ///< by a driver in user space
  Xsk* xsk = nullptr;         ///< bound to this queue
  UmemPages* umem = nullptr;  ///< its frames as buffers, with zero-copy
  std::uint64_t out_of_buffer = 0;
  std::uint64_t rx_packets = 0, rx_bytes = 0, interrupts = 0, polls = 0, full_polls = 0, xdp_tx_xmit = 0,
                xdp_tx_full = 0;
  BreakerGate gate;

 private:
  struct Line final : Interrupt {
    explicit Line(Queue& q) : Interrupt(true), queue(q) {}
    void take(Cpu& cpu) override;
    void update();
    Time rx_fires() const;
    Time other_fires() const { return std::min(queue.xmit.fires(armed), std::max(triggered, armed)); }
    Time fires() const { return std::min(rx_fires(), other_fires()); }
    Queue& queue;
    Cpu* cpu = nullptr;
    bool masked = false;
    Time armed{0};
    Time triggered = Time::never();  ///< by an application
  };
  struct Watchdog final : Interrupt {
    explicit Watchdog(Queue& q) : Interrupt(false), queue(q) {}
    void take(Cpu& cpu) override;
    Queue& queue;
    Cpu* pinned_to = nullptr;
  };
  struct NapiProcess final : Process {
    explicit NapiProcess(Queue& q) : Process(Context::kthread), queue(q) {}
    Job unit(Cpu& cpu) override;
    Queue& queue;
  };

  void one_packet(Cpu& cpu);
  void redirect_to_cpu(Cpu& cpu, const Ring::Completion& completion);
  /// False: the socket does not take it.
  bool redirect_to_xsk(Cpu& cpu, const Ring::Completion& completion, Time begin);
  bool copy_to_xsk(Cpu& cpu, const Ring::Completion& completion, Time begin);
  /// The breaker is asked; true: it drops the packet.
  bool refused(Cpu& cpu, const Ring::Completion& completion);
  Time touch(Cpu& cpu, const Packet& packet);
  Job deliver(Cpu& cpu);
  void finish(Cpu& cpu, std::uint32_t handled, bool busy);
  void start_timer(Cpu& cpu, Time at);

  Nic& nic_;
  std::uint32_t index_;
  Line line_{*this};
  Watchdog watchdog_{*this};
  std::uint32_t usecs_, frames_;
  Dim dim_;
  std::uint32_t defers_left_ = 0;
  bool disabled_ = false;
  std::unique_ptr<NapiProcess> process_;
};

class Nic {
 public:
  Nic(const std::string& name, std::uint32_t number, const Scenario& scenario, std::uint32_t replication,
      const Calibration& calibration, EventQueue& events, std::uint64_t page_count, Journal& journal, Stack& stack);

  /// Arrivals up to this instant may be asked of the sources; later ones may still change.
  void arrivals_until(Time until);
  std::uint64_t waiting() const { return waiting_.size(); }

  const std::string name;
  const scenario::NicParams& params;
  const Scenario& scenario;
  std::vector<std::string> source_names;
  std::vector<TcpSource*> responsive;
  std::unique_ptr<Wire> wire;
  TxLink tx_link;
  Device device;
  Device* target = nullptr;                          ///< of the program that redirects
  std::vector<std::unique_ptr<CpumapEntry>> cpumap;  ///< of the one that redirects to CPUs
  std::size_t entries_in_use = 0;
  bool round_robin = false;
  std::vector<std::size_t> next_entry;  ///< of the round robin, by CPU
  EventQueue& events;
  std::uint32_t number;
  std::vector<std::unique_ptr<Queue>> queues;
  std::string program;
  Journal& journal;
  Stack& stack;
  std::uint64_t rx_packets_phy = 0;
  std::uint64_t rx_discards_phy = 0;

  Probability read_miss(const Packet& packet) {
    return packet.buffer == 0 ? 0 : llc_.cpu_read(packet.buffer, llc_seen_);
  }

 private:
  void fetch();
  void arrive(const Packet& arrived);
  bool steer(Packet& packet) const;
  void begin_transfers();
  void transferred(const Ring::Completion& completion);

  std::vector<std::unique_ptr<Source>> sources_;
  ToeplitzHash toeplitz_;
  std::vector<std::uint16_t> indirection_;
  Llc llc_;
  Llc::View llc_seen_;
  Time pcie_packet_, pcie_latency_;
  std::int64_t pcie_ps_per_byte_;
  std::uint64_t buffer_bytes_;
  Time until_{-1};
  bool arrival_planned_ = false;
  std::deque<Packet> waiting_;
  std::uint64_t used_bytes_ = 0;
  bool busy_ = false;
};

}  // namespace rxpool::reference
