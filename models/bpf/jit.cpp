#include "models/bpf/jit.hpp"

#include <sys/mman.h>

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

// Written first, executable afterwards, never both: a mapping of its own, whose protection is turned once.
struct CompiledCode::Memory {
  explicit Memory(std::size_t bytes) : size(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code = at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
  }
  ~Memory() {
    if (code != nullptr) {
      munmap(code, size);
    }
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  static std::unique_ptr<Memory> place(asmjit::CodeHolder& holder);

  std::byte* code = nullptr;
  std::size_t size;
};

CompiledCode::CompiledCode(const Decoded& code, const JitLayout& layout) : base_of_box_(layout.box->base()) {
  asmjit::CodeHolder holder;
  ThrowingHandler handler;
  holder.init(asmjit::Environment::host());
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
  memory_ = Memory::place(holder);
  size_ = holder.codeSize();
}

// The size counts a table of far addresses, which exists only once the code is laid out and may shrink when it is
// moved to its place.
std::unique_ptr<CompiledCode::Memory> CompiledCode::Memory::place(asmjit::CodeHolder& holder) {
  const auto check = [](asmjit::Error error) {
    ensure(error == asmjit::kErrorOk, "bpf compiler: the code cannot be laid out");
  };
  check(holder.flatten());
  check(holder.resolveUnresolvedLinks());
  auto memory = std::make_unique<Memory>(holder.codeSize());
  bool executable = memory->code != nullptr;
  if (executable) {
    check(holder.relocateToBase(reinterpret_cast<std::uint64_t>(memory->code)));
    check(holder.copyFlattenedData(memory->code, holder.codeSize(), asmjit::CopySectionFlags::kPadTargetBuffer));
    executable = mprotect(memory->code, memory->size, PROT_READ | PROT_EXEC) == 0;
  }
  if (!executable) {
    throw InputError("policy: no executable memory for the compiled program (does the system forbid it?)",
                     ExitCode::limit);
  }
  return memory;
}

CompiledCode::~CompiledCode() = default;

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
