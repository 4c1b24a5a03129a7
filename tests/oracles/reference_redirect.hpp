#pragma once
// xdp_do_redirect and xdp_do_flush of the reference engine: a list of frames per target, sixteen at a time to the
// target's ring, what does not fit is dropped at once.

#include <cstdint>
#include <vector>

#include "tests/oracles/reference_tx.hpp"

namespace rxpool::reference {

/// A NIC as the target of redirects.
struct Device {
  std::uint32_t mtu = 1500;
  bool shared = false;  ///< CPUs beyond the number of rings use them too
  std::vector<TxRing*> rings;

  TxRing* ring_of(std::uint16_t cpu) const {
    if (cpu < rings.size()) return rings[cpu];
    return shared ? rings[cpu % rings.size()] : nullptr;
  }
};

class Redirect {
 public:
  explicit Redirect(Journal& journal) : journal_(journal) {}

  void enqueue(Device& device, const Frame& frame);
  /// Before the next packet: the frame that found sixteen has them sent first.
  Job send_overfull(Cpu& cpu);
  Job flush(Cpu& cpu);

  std::uint64_t redirected = 0, errors = 0, bulks = 0, sent = 0, drops = 0;
  std::vector<Frame> frames;  ///< of the one target that a built-in program has

 private:
  Job xmit_all(Cpu& cpu);
  Journal& journal_;
  Device* device_ = nullptr;
};

}  // namespace rxpool::reference
