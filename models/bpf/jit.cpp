#include "models/bpf/jit.hpp"

#include <algorithm>

#include "models/bpf/jit_emitter.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {

namespace {

class ThrowingHandler : public asmjit::ErrorHandler {
 public:
  void handleError(asmjit::Error, const char* message, asmjit::BaseEmitter*) override {
    throw BugError(std::string("bpf compiler: ") + message);
  }
};

}  // namespace

struct CompiledCode::Memory {
  asmjit::JitRuntime runtime;
  std::byte* code = nullptr;
};

CompiledCode::CompiledCode(const Decoded& code, const JitLayout& layout)
    : memory_(std::make_unique<Memory>()), base_of_box_(layout.box->base()) {
  asmjit::CodeHolder holder;
  ThrowingHandler handler;
  holder.init(memory_->runtime.environment());
  holder.setErrorHandler(&handler);
  jit::Emitter emitter(holder, code, layout);
  for (std::uint32_t f = 0; f < code.functions.size(); ++f) {
    function_at_.push_back(emitter.position());
    emitter.function(f);
  }
  for (std::uint32_t p = 0; p < code.program_entry.size(); ++p) {
    batch_at_.push_back(emitter.position());
    emitter.batch_entry(p);
  }
  invoke_at_ = emitter.position();
  emitter.invoke_entry();
  emitter.tail_table();
  op_begin_ = emitter.op_begin();
  size_ = holder.codeSize();
  void* address = nullptr;
  if (memory_->runtime.add(&address, &holder) != asmjit::kErrorOk) {
    throw InputError("policy: no executable memory for the compiled program (does the system forbid it?)",
                     ExitCode::limit);
  }
  memory_->code = static_cast<std::byte*>(address);
}

CompiledCode::~CompiledCode() {
  if (memory_->code != nullptr) {
    memory_->runtime.release(memory_->code);
  }
}

void CompiledCode::run_batch(std::uint32_t program, PacketView* begin, PacketView* end, Outcome* outcomes) const {
  using Batch = void (*)(PacketView*, PacketView*, Outcome*, std::byte*);
  reinterpret_cast<Batch>(memory_->code + batch_at_[program])(begin, end, outcomes, base_of_box_);
}

std::uint64_t CompiledCode::invoke(std::uint32_t function, const std::array<std::uint64_t, 5>& arguments,
                                   BoxOffset frame) const {
  using Invoke = std::uint64_t (*)(const std::byte*, std::byte*, std::uint64_t, const std::uint64_t*);
  return reinterpret_cast<Invoke>(memory_->code + invoke_at_)(memory_->code + function_at_[function], base_of_box_,
                                                              frame, arguments.data());
}

const std::byte* CompiledCode::begin() const {
  return memory_->code;
}

const std::byte* CompiledCode::end() const {
  return memory_->code + size_;
}

std::uint32_t CompiledCode::op_at(const std::byte* address) const {
  const auto offset = static_cast<std::uint32_t>(address - memory_->code);
  const auto after = std::upper_bound(op_begin_.begin(), op_begin_.end(), offset);
  return static_cast<std::uint32_t>(after - op_begin_.begin()) - 1;
}

}  // namespace rxpool::bpf
