#include "models/bpf/abort.hpp"

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <forward_list>
#include <mutex>

#include "sim/error.hpp"

namespace rxpool::bpf {

namespace {

// The handlers that were there before ours: replaced as a whole when ours is put on top again, kept for ever, because a
// handler on another thread may be reading the ones before.
struct Handlers {
  struct sigaction segv;
  struct sigaction bus;
};
std::forward_list<Handlers>& kept_handlers() {
  static auto* const kept = new std::forward_list<Handlers>;  // outlives every other static
  return *kept;
}
std::atomic<const Handlers*> previous{nullptr};
std::mutex installing;

// Initial-exec: the handler must not allocate the thread-local block.
thread_local Runtime* volatile running __attribute__((tls_model("initial-exec"))) = nullptr;
thread_local volatile bool passing_on __attribute__((tls_model("initial-exec"))) = false;

const std::byte* program_counter(void* context) {
#if defined(__x86_64__)
  return reinterpret_cast<const std::byte*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#else
  (void)context;
  return nullptr;
#endif
}

void use_default_action(int signal) {
  struct sigaction fallback = {};
  fallback.sa_handler = SIG_DFL;
  sigaction(signal, &fallback, nullptr);
}

void pass_on(const struct sigaction& next, int signal, siginfo_t* info, void* context) {
  // A handler that raises the signal again for the one before it may find us there: then nobody is left to ask.
  const bool asked_before = passing_on;
  if (asked_before || next.sa_handler == SIG_DFL || next.sa_handler == SIG_IGN) {
    use_default_action(signal);
    if (info->si_code <= 0) {
      raise(signal);
    }
    return;  // a true fault happens again, under the default action, which reports its address
  }
  passing_on = true;
  if ((next.sa_flags & SA_SIGINFO) != 0) {
    next.sa_sigaction(signal, info, context);
  } else {
    next.sa_handler(signal);
  }
  passing_on = false;
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
  const Handlers* before = previous.load(std::memory_order_acquire);
  pass_on(signal == SIGSEGV ? before->segv : before->bus, signal, info, context);
}

}  // namespace

void install_fault_handler() {
  const std::lock_guard lock(installing);
  Handlers current;
  sigaction(SIGSEGV, nullptr, &current.segv);
  sigaction(SIGBUS, nullptr, &current.bus);
  const auto is_ours = [](const struct sigaction& action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_fault;
  };
  if (is_ours(current.segv) && is_ours(current.bus)) {
    return;
  }
  previous.store(&kept_handlers().emplace_front(current), std::memory_order_release);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  // SA_NODEFER: the handler is left by a jump, which does not restore the signal mask. SA_ONSTACK: as faulthandler and
  // the sanitizers do, so that a stack overflow of the host still reaches them.
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
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
