#pragma once
// cpumap entries of the reference engine: frames from several CPUs to one thread, which makes skbs of them (XD-30 to
// XD-36), and the bulks of eight in which a poll hands them over.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "models/scenario/cpu_redirect.hpp"
#include "tests/oracles/reference_stack.hpp"

namespace rxpool::reference {

class CpumapEntry final : public Process {
 public:
  CpumapEntry(std::string name, const scenario::CpuRedirect& redirect, const Scenario& scenario,
              const scenario::NicParams& nic, Stack& stack, Journal& journal);

  /// One step of the CPU that redirects.
  void enqueue(Cpu& cpu, const std::vector<SkbPtr>& bulk);
  /// Another one.
  void wake(Cpu& cpu);
  Job unit(Cpu& cpu) override;

  std::vector<SkbPtr> held() const;
  std::uint64_t bulks = 0, processed = 0, drops = 0, batches = 0, taken = 0, passed = 0, dropped = 0;

 private:
  bool full() const { return produced_ - cleared_ == size_; }
  bool readable(Time now) const { return !ring_.empty() && ring_.front()->visible <= now; }
  SkbPtr consume();
  Job deliver(Cpu& cpu);

  const scenario::RemoteAction action_;
  const scenario::NicParams& nic_;
  const std::uint32_t list_most_;
  const bool keeps_list_;
  Stack& stack_;
  Journal& journal_;
  // A slot can be used again only when it was cleared, which happens to sixteen at a time and at the ring's end.
  const std::uint64_t size_;
  std::uint64_t produced_ = 0, consumed_ = 0, cleared_ = 0;
  std::deque<SkbPtr> ring_;
  std::deque<SkbPtr> batch_;
  std::deque<SkbPtr> list_;
  std::uint32_t since_flush_ = 0;
  const Cpu* producer_ = nullptr;
  bool asleep_ = true;
};

/// Of one NAPI.
class CpumapBulks {
 public:
  void enqueue(CpumapEntry& entry, const SkbPtr& frame);
  Job send_overfull(Cpu& cpu);
  Job flush(Cpu& cpu);
  std::vector<SkbPtr> held() const;

 private:
  struct Bulk {
    CpumapEntry* entry;
    std::vector<SkbPtr> frames;
  };
  std::vector<Bulk> bulks_;  ///< the first is flushed first
};

}  // namespace rxpool::reference
