#pragma once
// Poll-mode drivers of the reference engine (PM-1 to PM-6): a process that looks at its ring again and again, one look
// one unit, and RX buffers that are mbufs of a mempool.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/memory/llc.hpp"
#include "tests/oracles/reference_ring.hpp"
#include "tests/oracles/reference_stack.hpp"
#include "tests/oracles/reference_tx.hpp"

namespace rxpool::reference {

class MempoolPages final : public Buffers {
 public:
  MempoolPages(std::uint32_t mbufs, Time put_price, Ring& ring, PageAllocator& allocator);

  bool fill(MemoryContext& context) override;
  Job refill(Cpu& cpu) override;
  PageId take(Cpu& cpu, std::uint32_t slot) override;
  void drop(Cpu& cpu, std::uint32_t slot) override;
  void put(MemoryContext& context, PageId page) override;
  std::vector<PageId> mbufs;  ///< free ones; last in, first out

 private:
  void post(std::uint32_t slots, Time at);
  std::uint32_t size_;
  Time put_price_;
  PageAllocator& allocator_;
};

class Pmd final : public Process {
 public:
  struct Parts {
    Ring& ring;
    MempoolPages& mempool;
    std::function<Probability(const Packet&)> read_miss;
  };
  /// `tx` is its send ring; it is not used by an application that consumes.
  Pmd(std::string name, const scenario::PmdParams& params, RandomStream service, Parts parts, TxRing tx,
      Journal& journal);
  void start(Cpu& cpu);
  void set_paused(bool paused, Time now);
  Job unit(Cpu& cpu) override;

  std::size_t in_hand() const { return batch_.size() - (params.forward ? 0 : done_); }
  std::size_t mempool_available() const { return parts_.mempool.mbufs.size(); }

  const scenario::PmdParams& params;
  TxRing tx;
  std::uint64_t ipackets = 0, rx_bursts = 0, empty_bursts = 0, tx_burst_full = 0;

 private:
  struct Alarm final : Interrupt {
    explicit Alarm(Pmd& p) : Interrupt(false), pmd(p) {}
    void take(Cpu& cpu) override;
    Pmd& pmd;
  };
  struct Mbuf {
    Packet packet;
    PageId page;
  };
  Job look(Cpu& cpu);
  void one_packet(Cpu& cpu);
  Job send(Cpu& cpu);
  void free(Cpu& cpu, PageId page);

  Parts parts_;
  RandomStream service_;
  Journal& journal_;
  Alarm alarm_{*this};
  std::vector<Mbuf> batch_;
  std::size_t done_ = 0;
  bool paused_;
};

}  // namespace rxpool::reference
