#pragma once
// The table of helpers and kfuncs: what the checks need to know of their arguments, what the engine needs to call them,
// and what each costs. The functions themselves are in helpers/.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/bpf/program.hpp"

namespace rxpool::bpf {

struct Runtime;

/// Arguments are raw registers; a helper reaches memory only through Runtime::readable / writable and the box's spans.
/// A helper that calls back into the program may be left by an abort of the run: it holds no object with a destructor
/// across the callback.
using HelperFn = std::uint64_t (*)(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3,
                                   std::uint64_t r4, std::uint64_t r5);

enum class ArgKind : std::uint8_t {
  none,
  anything,  // any initialised register
  scalar,
  context,
  map,            // a map reference
  map_key,        // key_size readable bytes
  map_value,      // value_size readable bytes
  map_value_out,  // value_size writable bytes
  memory_in,      // readable bytes, length in the next argument
  memory_in_or_null,
  memory_out,  // writable bytes, length in the next argument
  size,        // length, not zero
  size_or_zero,
  function,        // LDDW of a callback
  map_element,     // pointer to a map value (spin lock, timer)
  ringbuf_record,  // what ringbuf_reserve returned
  long_out,        // pointer to 8 writable bytes
  int_out,         // pointer to 4 writable bytes
  dynptr,
};

enum class ReturnKind : std::uint8_t { scalar, nothing, map_value_or_null, memory_or_null, ringbuf_record_or_null };

/// Helpers that the engine knows and does itself where it can.
enum class Intrinsic : std::uint8_t { none, map_lookup, ktime_ns, cpu_id, numa_node, tail_call };

struct Helper {
  std::uint32_t id = 0;
  std::string name;
  HelperFn fn = nullptr;
  std::array<ArgKind, 5> args{};
  ReturnKind returns = ReturnKind::scalar;
  std::uint32_t hooks = ~0u;  // hook_bit() of each hook that may call it
  std::uint32_t cost_ps = 0;
  Intrinsic intrinsic = Intrinsic::none;
  bool changes_packet = false;  // packet pointers are stale afterwards (adjust_head, adjust_meta, adjust_tail)
};

/// kfuncs share the table: a CALL with src 2 carries kfunc_base + n as its id.
constexpr std::uint32_t kfunc_base = 0x10000;

class HelperTable {
 public:
  /// Entries may come in any order; a second entry of one id replaces the first.
  void add(Helper helper);
  const Helper* find(std::uint32_t id) const;
  const std::vector<Helper>& all() const { return helpers_; }

 private:
  std::vector<Helper> helpers_;  // sorted by id
};

/// What executed instructions cost the simulated CPU. Helper costs are in the helper table.
struct CostTable {
  std::uint32_t insn_ps = 0;
};

}  // namespace rxpool::bpf
