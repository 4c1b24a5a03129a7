#pragma once
// How a run that cannot go on leaves. Each run stands behind a Recovery; an access to unmapped memory of its box (by
// the program or by a helper that was handed a bad pointer), spent fuel or a helper's abort jump back to it. The
// process-wide handler of SIGSEGV and SIGBUS takes only faults whose address lies in the box that runs on the faulting
// thread; every other fault goes to the handler that was there before (Python's faulthandler, a sanitizer's, the
// default). Nothing is unwound on the way: frames between the fault and the recovery own no resources.

#include <csetjmp>

#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {

/// Puts the handler on top, unless it is there; every Vm does so when it is built. Whoever installs another handler
/// later (faulthandler.enable()) hides ours until the next Vm is built.
void install_fault_handler();

/// Place to resume at. The owner calls sigsetjmp(recovery.target, 0) and makes it current with RunningBox.
struct Recovery {
  sigjmp_buf target;
  /// Host address of compiled code, so that the handler can tell where a fault happened; null for interpreters.
  const std::byte* code_begin = nullptr;
  const std::byte* code_end = nullptr;
  /// Set by the handler for a fault inside that code: its address, else null.
  const std::byte* fault_pc = nullptr;
};

/// Marks the runtime as the one that runs on this thread, for the lifetime of the object.
class RunningBox {
 public:
  RunningBox(Runtime& runtime, Recovery& recovery);
  ~RunningBox();
  RunningBox(const RunningBox&) = delete;
  RunningBox& operator=(const RunningBox&) = delete;

 private:
  Runtime* previous_;
};

}  // namespace rxpool::bpf
