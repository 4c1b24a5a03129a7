// What a program says to user space: trace_printk, perf events, ring buffers.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/maps/reference_map.hpp"
#include "models/bpf/maps/ringbuf.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t max_line = 1024;              // BPF_TRACE_PRINTK_SIZE
constexpr std::size_t max_arguments = 12;           // MAX_BPRINTF_VARARGS
constexpr std::uint64_t current_cpu = 0xffffffff;   // BPF_F_CURRENT_CPU
constexpr std::uint64_t index_mask = 0xffffffff;    // BPF_F_INDEX_MASK
constexpr std::uint64_t context_length_shift = 32;  // BPF_F_CTXLEN_MASK

// Formats into a fixed buffer the conversions that the kernel's bpf_bprintf_prepare takes; -EINVAL for others.
class Line {
 public:
  Line(Runtime& runtime, std::span<const std::byte> format, std::span<const std::uint64_t> arguments)
      : runtime_(runtime), format_(format), arguments_(arguments) {}

  int format() {
    for (std::size_t at = 0; at < format_.size() && character(at) != 0; ++at) {
      if (character(at) != '%') {
        put(character(at));
      } else if (!conversion(at)) {
        return -EINVAL;
      }
    }
    return 0;
  }

  std::string_view text() const { return {buffer_, used_}; }

 private:
  char character(std::size_t at) const { return at < format_.size() ? static_cast<char>(format_[at]) : '\0'; }
  void put(char c) {
    if (used_ < max_line) {
      buffer_[used_++] = c;
    }
  }

  // `at` stands on the percent sign and is left on the last character of the conversion.
  bool conversion(std::size_t& at) {
    char spec[16] = "%";
    std::size_t length = 1;
    ++at;
    if (character(at) == '%') {
      put('%');
      return true;
    }
    while (std::strchr("0-+ #123456789", character(at)) != nullptr && character(at) != 0 && length < 8) {
      spec[length++] = character(at++);
    }
    int longs = 0;
    while (character(at) == 'l') {
      ++longs;
      ++at;
    }
    const char kind = character(at);
    if (longs > 2 || kind == 0 || next_ == arguments_.size()) {
      return false;
    }
    const std::uint64_t value = arguments_[next_++];
    if (kind == 's' && longs == 0) {
      return string(value);
    }
    return number(spec, length, kind, longs, value);
  }

  bool number(char* spec, std::size_t length, char kind, int longs, std::uint64_t value) {
    char out[64];
    int written = 0;
    spec[length++] = 'l';
    spec[length++] = 'l';
    spec[length] = kind == 'i' ? 'd' : kind;
    if (kind == 'd' || kind == 'i') {
      const long long number = longs == 0 ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value);
      written = std::snprintf(out, sizeof out, spec, number);
    } else if (kind == 'u' || kind == 'x' || kind == 'X') {
      const unsigned long long number = longs == 0 ? static_cast<std::uint32_t>(value) : value;
      written = std::snprintf(out, sizeof out, spec, number);
    } else if (kind == 'p') {
      written = std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(value));
    } else if (kind == 'c') {
      out[0] = static_cast<char>(value);
      written = 1;
    } else {
      return false;
    }
    for (int i = 0; i < std::min(written, static_cast<int>(sizeof out) - 1); ++i) {
      put(out[i]);
    }
    return true;
  }

  bool string(std::uint64_t pointer) {
    for (std::size_t i = 0; i < max_line; ++i) {
      const char c = static_cast<char>(runtime_.readable(pointer + i, 1)[0]);
      if (c == 0) {
        break;
      }
      put(c);
    }
    return true;
  }

  Runtime& runtime_;
  std::span<const std::byte> format_;
  std::span<const std::uint64_t> arguments_;
  std::size_t next_ = 0;
  char buffer_[max_line];
  std::size_t used_ = 0;
};

std::uint64_t print_line(Runtime& runtime, std::uint64_t format, std::uint64_t size,
                         std::span<const std::uint64_t> arguments) {
  Line line(runtime, runtime.readable(format, static_cast<std::uint32_t>(size)), arguments);
  if (const int error = line.format(); error != 0) {
    return failure(error);
  }
  if (runtime.trace != nullptr) {
    runtime.trace->print(runtime.now, runtime.cpu, line.text());
  }
  return line.text().size();
}

std::uint64_t trace_printk(Runtime& runtime, std::uint64_t format, std::uint64_t size, std::uint64_t r3,
                           std::uint64_t r4, std::uint64_t r5) {
  const std::uint64_t arguments[] = {r3, r4, r5};
  return print_line(runtime, format, size, arguments);
}

std::uint64_t trace_vprintk(Runtime& runtime, std::uint64_t format, std::uint64_t size, std::uint64_t data,
                            std::uint64_t length, std::uint64_t) {
  const auto bytes = runtime.readable(data, static_cast<std::uint32_t>(length));
  if (bytes.size() % 8 != 0 || bytes.size() > max_arguments * 8) {
    return failure(-EINVAL);
  }
  std::uint64_t arguments[max_arguments];
  std::memcpy(arguments, bytes.data(), bytes.size());
  return print_line(runtime, format, size, {arguments, bytes.size() / 8});
}

// An entry exists where user space has put one (any value but 0), as with a real perf event.
std::uint64_t perf_event_output(Runtime& runtime, std::uint64_t, std::uint64_t handle, std::uint64_t flags,
                                std::uint64_t data, std::uint64_t size) {
  const auto bytes = runtime.readable(data, static_cast<std::uint32_t>(size));
  Map* map = runtime.map(handle);
  if (map == nullptr || map->type() != MapType::perf_event_array) {
    runtime.abort(Abort::memory);
  }
  const std::uint32_t index =
      (flags & index_mask) == current_cpu ? runtime.cpu : static_cast<std::uint32_t>(flags & index_mask);
  const std::uint64_t context_length = flags >> context_length_shift & 0xfffff;
  if (flags >> 52 != 0) {
    return failure(-EINVAL);
  }
  if (index >= map->info().max_entries) {
    return failure(-E2BIG);
  }
  if (static_cast<const ReferenceMap*>(map)->reference(std::as_bytes(std::span(&index, 1))) == 0) {
    return failure(-ENOENT);
  }
  if (context_length != 0) {
    return failure(-EOPNOTSUPP);  // copying packet data along is not modelled
  }
  if (runtime.trace != nullptr) {
    runtime.trace->event(runtime.now, runtime.cpu, static_cast<std::uint32_t>(handle - 1), bytes);
  }
  return 0;
}

RingbufMap& ring_of(Runtime& runtime, std::uint64_t handle) {
  Map* map = runtime.map(handle);
  if (map == nullptr || map->type() != MapType::ringbuf) {
    runtime.abort(Abort::memory);
  }
  return static_cast<RingbufMap&>(*map);
}

bool wakeup_flags_only(std::uint64_t flags) {
  return (flags & ~std::uint64_t{3}) == 0;
}

std::uint64_t ringbuf_output(Runtime& runtime, std::uint64_t handle, std::uint64_t data, std::uint64_t size,
                             std::uint64_t flags, std::uint64_t) {
  const auto bytes = runtime.readable(data, size);
  RingbufMap& ring = ring_of(runtime, handle);
  if (!wakeup_flags_only(flags)) {
    return failure(-EINVAL);
  }
  const BoxOffset record = ring.reserve(size);
  if (record == 0) {
    return failure(-EAGAIN);
  }
  std::memcpy(runtime.box->at(record), bytes.data(), bytes.size());
  ring.commit(record, false);
  return 0;
}

std::uint64_t ringbuf_reserve(Runtime& runtime, std::uint64_t handle, std::uint64_t size, std::uint64_t flags,
                              std::uint64_t, std::uint64_t) {
  RingbufMap& ring = ring_of(runtime, handle);
  return flags != 0 ? 0 : ring.reserve(size);
}

void end_record(Runtime& runtime, std::uint64_t record, bool discard) {
  for (Map* map : runtime.maps) {
    if (map->type() == MapType::ringbuf && static_cast<RingbufMap*>(map)->commit(record, discard)) {
      return;
    }
  }
  runtime.abort(Abort::memory);  // no reserved record
}

std::uint64_t ringbuf_submit(Runtime& runtime, std::uint64_t record, std::uint64_t, std::uint64_t, std::uint64_t,
                             std::uint64_t) {
  end_record(runtime, record, false);
  return 0;
}

std::uint64_t ringbuf_discard(Runtime& runtime, std::uint64_t record, std::uint64_t, std::uint64_t, std::uint64_t,
                              std::uint64_t) {
  end_record(runtime, record, true);
  return 0;
}

std::uint64_t ringbuf_query(Runtime& runtime, std::uint64_t handle, std::uint64_t what, std::uint64_t, std::uint64_t,
                            std::uint64_t) {
  const RingbufMap& ring = ring_of(runtime, handle);
  switch (what) {
    case 0:  // BPF_RB_AVAIL_DATA
      return ring.available();
    case 1:  // BPF_RB_RING_SIZE
      return ring.ring_size();
    case 2:  // BPF_RB_CONS_POS
      return ring.consumer_position();
    case 3:  // BPF_RB_PROD_POS
      return ring.producer_position();
    default:
      return 0;
  }
}

}  // namespace

void add_output_helpers(HelperTable& table) {
  using enum ArgKind;
  constexpr std::uint32_t hooks = ~hook_bit(Hook::rxpool_return);
  table.add({.id = 6, .name = {}, .fn = trace_printk, .args = {memory_in, size}});
  table.add({.id = 25,
             .name = {},
             .fn = perf_event_output,
             .args = {context, map, anything, memory_in, size_or_zero},
             .hooks = hooks});
  table.add({.id = 130, .name = {}, .fn = ringbuf_output, .args = {map, memory_in, size_or_zero, anything}});
  table.add({.id = 131,
             .name = {},
             .fn = ringbuf_reserve,
             .args = {map, scalar, anything},
             .returns = ReturnKind::ringbuf_record_or_null});
  table.add({.id = 132,
             .name = {},
             .fn = ringbuf_submit,
             .args = {ringbuf_record, anything},
             .returns = ReturnKind::nothing});
  table.add({.id = 133,
             .name = {},
             .fn = ringbuf_discard,
             .args = {ringbuf_record, anything},
             .returns = ReturnKind::nothing});
  table.add({.id = 134, .name = {}, .fn = ringbuf_query, .args = {map, anything}});
  table.add({.id = 177, .name = {}, .fn = trace_vprintk, .args = {memory_in, size, memory_in_or_null, size_or_zero}});
}

}  // namespace rxpool::bpf
