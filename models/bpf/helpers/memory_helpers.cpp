// Strings and dynptrs over memory of the program. A dynptr is 16 bytes on the program's stack that hold offset and
// size; as every use goes through the box, a program that forges one reaches nothing but its own memory.

#include <cerrno>
#include <cstring>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t max_dynptr_bytes = (1U << 24) - 1;  // DYNPTR_MAX_SIZE

struct Dynptr {
  std::uint32_t data = 0;  // 0: null dynptr
  std::uint32_t size = 0;
  std::uint64_t unused = 0;
};
static_assert(sizeof(Dynptr) == 16);

Dynptr read_dynptr(Runtime& runtime, std::uint64_t pointer) {
  Dynptr dynptr;
  std::memcpy(&dynptr, runtime.readable(pointer, sizeof dynptr).data(), sizeof dynptr);
  return dynptr;
}

std::uint64_t compare(Runtime& runtime, std::uint64_t s1, std::uint64_t size, std::uint64_t s2, std::uint64_t,
                      std::uint64_t) {
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(size); ++i) {
    const int a = std::to_integer<int>(runtime.readable(s1 + i, 1)[0]);
    const int b = std::to_integer<int>(runtime.readable(s2 + i, 1)[0]);
    if (a != b) {
      return failure(a < b ? -1 : 1);
    }
    if (a == 0) {
      break;
    }
  }
  return 0;
}

std::uint64_t dynptr_from_memory(Runtime& runtime, std::uint64_t data, std::uint64_t size, std::uint64_t flags,
                                 std::uint64_t out, std::uint64_t) {
  const auto to = runtime.writable(out, sizeof(Dynptr));
  Dynptr dynptr{static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(size)};
  int error = 0;
  if (dynptr.size > max_dynptr_bytes) {
    error = -E2BIG;
  } else if (flags != 0) {
    error = -EINVAL;
  }
  if (error != 0) {
    dynptr = {};
  }
  std::memcpy(to.data(), &dynptr, sizeof dynptr);
  return failure(error);
}

std::uint64_t dynptr_read(Runtime& runtime, std::uint64_t to, std::uint64_t length, std::uint64_t source,
                          std::uint64_t offset, std::uint64_t flags) {
  const auto out = runtime.writable(to, static_cast<std::uint32_t>(length));
  const Dynptr dynptr = read_dynptr(runtime, source);
  if (dynptr.data == 0 || flags != 0) {
    return failure(-EINVAL);
  }
  const std::uint64_t at = static_cast<std::uint32_t>(offset);
  if (at + out.size() > dynptr.size) {
    return failure(-E2BIG);
  }
  const auto in = runtime.readable(dynptr.data + at, out.size());
  std::memmove(out.data(), in.data(), in.size());
  return 0;
}

std::uint64_t dynptr_write(Runtime& runtime, std::uint64_t target, std::uint64_t offset, std::uint64_t from,
                           std::uint64_t length, std::uint64_t flags) {
  const auto in = runtime.readable(from, static_cast<std::uint32_t>(length));
  const Dynptr dynptr = read_dynptr(runtime, target);
  if (dynptr.data == 0 || flags != 0) {
    return failure(-EINVAL);
  }
  const std::uint64_t at = static_cast<std::uint32_t>(offset);
  if (at + in.size() > dynptr.size) {
    return failure(-E2BIG);
  }
  const auto out = runtime.writable(dynptr.data + at, in.size());
  std::memmove(out.data(), in.data(), in.size());
  return 0;
}

std::uint64_t dynptr_data(Runtime& runtime, std::uint64_t source, std::uint64_t offset, std::uint64_t length,
                          std::uint64_t, std::uint64_t) {
  const Dynptr dynptr = read_dynptr(runtime, source);
  const std::uint64_t at = static_cast<std::uint32_t>(offset);
  if (dynptr.data == 0 || at + static_cast<std::uint32_t>(length) > dynptr.size) {
    return 0;
  }
  return dynptr.data + at;
}

}  // namespace

void add_memory_helpers(HelperTable& table) {
  using enum ArgKind;
  table.add({.id = 182, .name = {}, .fn = compare, .args = {memory_in, size, anything}});
  table.add({.id = 197, .name = {}, .fn = dynptr_from_memory, .args = {memory_out, size_or_zero, anything, dynptr}});
  table.add({.id = 201, .name = {}, .fn = dynptr_read, .args = {memory_out, size_or_zero, dynptr, anything, anything}});
  table.add({.id = 202, .name = {}, .fn = dynptr_write, .args = {dynptr, anything, memory_in, size_or_zero, anything}});
  table.add({.id = 203,
             .name = {},
             .fn = dynptr_data,
             .args = {dynptr, anything, anything},
             .returns = ReturnKind::memory_or_null});
}

}  // namespace rxpool::bpf
