// Machines without a compiler of ours: Vm falls back to the interpreter and never comes here.
#include "models/bpf/jit.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {

struct CompiledCode::Memory {};

CompiledCode::CompiledCode(const Decoded&, const JitLayout&) {
  throw BugError("no compiled code on this machine");
}
CompiledCode::~CompiledCode() = default;
void CompiledCode::run_batch(std::uint32_t, PacketView*, PacketView*, Outcome*) const {}
std::uint64_t CompiledCode::invoke(std::uint32_t, const std::array<std::uint64_t, 5>&, BoxOffset) const {
  return 0;
}
const std::byte* CompiledCode::begin() const {
  return nullptr;
}
const std::byte* CompiledCode::end() const {
  return nullptr;
}
std::uint32_t CompiledCode::op_at(const std::byte*) const {
  return 0;
}

}  // namespace rxpool::bpf
