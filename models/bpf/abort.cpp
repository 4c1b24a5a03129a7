#include "models/bpf/abort.hpp"

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <mutex>

#include "sim/error.hpp"

namespace rxpool::bpf {

namespace {

// The handlers that were there before ours. Written once, before ours is in place.
struct sigaction previous_segv;
struct sigaction previous_bus;
std::once_flag handler_once;

// Initial-exec: the handler must not allocate the thread-local block.
thread_local Runtime* volatile running __attribute__((tls_model("initial-exec"))) = nullptr;

const std::byte* program_counter(void* context) {
#if defined(__x86_64__)
  return reinterpret_cast<const std::byte*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#else
  (void)context;
  return nullptr;
#endif
}

void pass_on(const struct sigaction& previous, int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    // The faulting instruction runs again under the default action, which reports the true address.
    struct sigaction fallback = {};
    fallback.sa_handler = SIG_DFL;
    sigaction(signal, &fallback, nullptr);
    return;
  }
  previous.sa_handler(signal);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Runtime* const runtime = running;
  // si_code <= 0: sent by a process (kill, raise), si_addr means nothing.
  if (runtime != nullptr && info->si_code > 0 && runtime->box->owns(info->si_addr)) {
    auto& recovery = *static_cast<Recovery*>(runtime->execution.recovery);
    const std::byte* pc = program_counter(context);
    recovery.fault_pc = pc >= recovery.code_begin && pc < recovery.code_end ? pc : nullptr;
    runtime->execution.abort = Abort::memory;
    runtime->execution.fault_offset =
        static_cast<BoxOffset>(static_cast<std::byte*>(info->si_addr) - runtime->box->base());
    siglongjmp(recovery.target, 1);
  }
  pass_on(signal == SIGSEGV ? previous_segv : previous_bus, signal, info, context);
}

}  // namespace

void install_fault_handler() {
  std::call_once(handler_once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    // SA_NODEFER: the handler is left by a jump, which does not restore the signal mask. SA_ONSTACK: as faulthandler
    // and the sanitizers do, so that a stack overflow of the host still reaches them.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, nullptr, &previous_segv);
    sigaction(SIGBUS, nullptr, &previous_bus);
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
  });
}

RunningBox::RunningBox(Runtime& runtime, Recovery& recovery) : previous_(running) {
  runtime.execution.recovery = &recovery;
  running = &runtime;
}

RunningBox::~RunningBox() {
  running = previous_;
}

const char* abort_name(Abort reason) {
  switch (reason) {
    case Abort::none:
      return "none";
    case Abort::memory:
      return "memory";
    case Abort::fuel:
      return "fuel";
    case Abort::call_depth:
      return "call_depth";
    case Abort::bad_function:
      return "bad_function";
    case Abort::region:
      return "region";
  }
  return "?";
}

void Runtime::abort(Abort reason) {
  ensure(running == this, "a helper aborted outside a run");
  execution.abort = reason;
  auto& recovery = *static_cast<Recovery*>(execution.recovery);
  recovery.fault_pc = nullptr;
  siglongjmp(recovery.target, 1);
}

std::span<const std::byte> Runtime::readable(std::uint64_t pointer, std::uint64_t length) {
  const auto bytes = box->readable(static_cast<BoxOffset>(pointer), length);
  if (bytes.empty() && length != 0) [[unlikely]] {
    execution.fault_offset = static_cast<BoxOffset>(pointer);
    abort(Abort::memory);
  }
  return bytes;
}

std::span<std::byte> Runtime::writable(std::uint64_t pointer, std::uint64_t length) {
  const auto bytes = box->writable(static_cast<BoxOffset>(pointer), length);
  if (bytes.empty() && length != 0) [[unlikely]] {
    execution.fault_offset = static_cast<BoxOffset>(pointer);
    abort(Abort::memory);
  }
  return bytes;
}

}  // namespace rxpool::bpf
