// The packet: moving its ends (XD-1, XD-2), copying from and to it, checksums, and the metadata kfuncs.

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint32_t frame_header_bytes = 40;  // struct xdp_frame at the start of the headroom, XD-1
constexpr std::uint32_t max_metadata = 252;       // XD-2
constexpr std::uint32_t packet_hooks = hook_bit(Hook::xdp) | hook_bit(Hook::xdp_devmap) | hook_bit(Hook::xdp_cpumap);

struct Frame {
  XdpMd& context;
  const PacketView& packet;
};

// The context with ends that lie in order inside the frame, or the run is over.
Frame frame_of(Runtime& runtime, std::uint64_t r1) {
  const auto bytes = runtime.writable(r1, sizeof(XdpMd));
  auto& context = *reinterpret_cast<XdpMd*>(bytes.data());
  const PacketView* packet = runtime.packet;
  if (packet == nullptr || r1 != packet->context || context.data_meta < packet->slot ||
      context.data_meta > context.data || context.data > context.data_end ||
      context.data_end > std::uint64_t{packet->slot} + packet->slot_bytes) {
    runtime.abort(Abort::memory);
  }
  return {context, *packet};
}

std::int64_t delta_of(std::uint64_t r2) {
  return static_cast<std::int32_t>(r2);
}

std::uint64_t adjust_head(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t,
                          std::uint64_t) {
  const Frame frame = frame_of(runtime, r1);
  XdpMd& md = frame.context;
  const std::int64_t metadata = md.data - md.data_meta;
  const std::int64_t data = md.data + delta_of(r2);
  const std::int64_t lowest = std::int64_t{frame.packet.slot} + frame_header_bytes + metadata;
  if (data < lowest || data > std::int64_t{md.data_end} - ethernet_header) {
    return failure(-EINVAL);
  }
  const auto moved = static_cast<std::uint32_t>(data - metadata);
  if (metadata != 0) {
    std::memmove(runtime.box->at(moved), runtime.box->at(md.data_meta), static_cast<std::size_t>(metadata));
  }
  md.data_meta = moved;
  md.data = static_cast<std::uint32_t>(data);
  return 0;
}

std::uint64_t adjust_meta(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t,
                          std::uint64_t) {
  const Frame frame = frame_of(runtime, r1);
  XdpMd& md = frame.context;
  const std::int64_t meta = md.data_meta + delta_of(r2);
  if (meta < std::int64_t{frame.packet.slot} + frame_header_bytes || meta > md.data) {
    return failure(-EINVAL);
  }
  const std::int64_t length = md.data - meta;
  if (length % 4 != 0 || length > max_metadata) {
    return failure(-EACCES);
  }
  md.data_meta = static_cast<std::uint32_t>(meta);
  return 0;
}

std::uint64_t adjust_tail(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t,
                          std::uint64_t) {
  const Frame frame = frame_of(runtime, r1);
  XdpMd& md = frame.context;
  const std::int64_t end = md.data_end + delta_of(r2);
  if (end > std::int64_t{frame.packet.slot} + frame.packet.slot_bytes ||
      end < std::int64_t{md.data} + ethernet_header) {
    return failure(-EINVAL);
  }
  if (end > md.data_end) {
    std::memset(runtime.box->at(md.data_end), 0, static_cast<std::size_t>(end - md.data_end));
  }
  md.data_end = static_cast<std::uint32_t>(end);
  return 0;
}

std::uint64_t buffer_length(Runtime& runtime, std::uint64_t r1, std::uint64_t, std::uint64_t, std::uint64_t,
                            std::uint64_t) {
  const Frame frame = frame_of(runtime, r1);
  return frame.context.data_end - frame.context.data;
}

// Checks an offset and length against the packet: 0, or the kernel's error.
int check_range(const XdpMd& md, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t size = md.data_end - md.data;
  if (offset > 0xffff || length > 0xffff) {
    return -EFAULT;
  }
  return offset + length > size ? -EINVAL : 0;
}

std::uint64_t load_bytes(Runtime& runtime, std::uint64_t r1, std::uint64_t offset, std::uint64_t to,
                         std::uint64_t length, std::uint64_t) {
  const auto out = runtime.writable(to, static_cast<std::uint32_t>(length));
  const Frame frame = frame_of(runtime, r1);
  const int error = check_range(frame.context, static_cast<std::uint32_t>(offset), out.size());
  if (error == 0) {
    std::memmove(out.data(), runtime.box->at(frame.context.data + static_cast<std::uint32_t>(offset)), out.size());
  }
  return failure(error);
}

std::uint64_t store_bytes(Runtime& runtime, std::uint64_t r1, std::uint64_t offset, std::uint64_t from,
                          std::uint64_t length, std::uint64_t) {
  const auto in = runtime.readable(from, static_cast<std::uint32_t>(length));
  const Frame frame = frame_of(runtime, r1);
  const int error = check_range(frame.context, static_cast<std::uint32_t>(offset), in.size());
  if (error == 0) {
    std::memmove(runtime.box->at(frame.context.data + static_cast<std::uint32_t>(offset)), in.data(), in.size());
  }
  return failure(error);
}

// Ones' complement sum of 16-bit words, not folded; an odd last byte counts as a word of its own.
std::uint64_t word_sum(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(sizeof word, bytes.size() - i));
    sum += word;
  }
  return sum;
}

std::uint32_t fold32(std::uint64_t sum) {
  while (sum >> 32 != 0) {
    sum = (sum & 0xffffffff) + (sum >> 32);
  }
  return static_cast<std::uint32_t>(sum);
}

// Kernels since 6.13 fold the result to 16 bits and take any length (net/core/filter.c:bpf_csum_diff).
std::uint64_t csum_diff(Runtime& runtime, std::uint64_t from, std::uint64_t from_size, std::uint64_t to,
                        std::uint64_t to_size, std::uint64_t seed) {
  const auto old_bytes = runtime.readable(from, static_cast<std::uint32_t>(from_size));
  const auto new_bytes = runtime.readable(to, static_cast<std::uint32_t>(to_size));
  std::uint64_t sum = static_cast<std::uint32_t>(seed);
  sum += word_sum(new_bytes);
  if (!old_bytes.empty()) {
    sum += static_cast<std::uint32_t>(~fold32(word_sum(old_bytes)));
  }
  const std::uint32_t folded = fold32(sum);
  const std::uint32_t halves = (folded & 0xffff) + (folded >> 16);
  return (halves & 0xffff) + (halves >> 16);
}

std::uint64_t rx_timestamp(Runtime& runtime, std::uint64_t r1, std::uint64_t out, std::uint64_t, std::uint64_t,
                           std::uint64_t) {
  const auto to = runtime.writable(out, 8);
  const Frame frame = frame_of(runtime, r1);
  if (!frame.packet.facts.has_timestamp) {
    return failure(-ENODATA);
  }
  std::memcpy(to.data(), &frame.packet.facts.rx_timestamp_ns, 8);
  return 0;
}

std::uint64_t rx_hash(Runtime& runtime, std::uint64_t r1, std::uint64_t hash, std::uint64_t type, std::uint64_t,
                      std::uint64_t) {
  const auto hash_out = runtime.writable(hash, 4);
  const auto type_out = runtime.writable(type, 4);
  const Frame frame = frame_of(runtime, r1);
  if (!frame.packet.facts.has_hash) {
    return failure(-ENODATA);
  }
  std::memcpy(hash_out.data(), &frame.packet.facts.rx_hash, 4);
  std::memcpy(type_out.data(), &frame.packet.facts.rx_hash_type, 4);
  return 0;
}

std::uint64_t rx_vlan_tag(Runtime& runtime, std::uint64_t r1, std::uint64_t proto, std::uint64_t tci, std::uint64_t,
                          std::uint64_t) {
  const auto proto_out = runtime.writable(proto, 2);
  const auto tci_out = runtime.writable(tci, 2);
  const Frame frame = frame_of(runtime, r1);
  if (!frame.packet.facts.has_vlan) {
    return failure(-ENODATA);
  }
  std::memcpy(proto_out.data(), &frame.packet.facts.vlan_proto, 2);
  std::memcpy(tci_out.data(), &frame.packet.facts.vlan_tci, 2);
  return 0;
}

}  // namespace

void add_packet_helpers(HelperTable& table) {
  using enum ArgKind;
  table.add({.id = 28,
             .name = {},
             .fn = csum_diff,
             .args = {memory_in_or_null, size_or_zero, memory_in_or_null, size_or_zero, anything}});
  table.add({.id = 44,
             .name = {},
             .fn = adjust_head,
             .args = {context, anything},
             .hooks = packet_hooks,
             .changes_packet = true});
  table.add({.id = 54,
             .name = {},
             .fn = adjust_meta,
             .args = {context, anything},
             .hooks = packet_hooks,
             .changes_packet = true});
  table.add({.id = 65,
             .name = {},
             .fn = adjust_tail,
             .args = {context, anything},
             .hooks = packet_hooks,
             .changes_packet = true});
  table.add({.id = 188, .name = {}, .fn = buffer_length, .args = {context}, .hooks = packet_hooks});
  table.add(
      {.id = 189, .name = {}, .fn = load_bytes, .args = {context, anything, memory_out, size}, .hooks = packet_hooks});
  table.add(
      {.id = 190, .name = {}, .fn = store_bytes, .args = {context, anything, memory_in, size}, .hooks = packet_hooks});
}

void add_metadata_kfuncs(HelperTable& table) {
  using enum ArgKind;
  constexpr std::uint32_t device_hook = hook_bit(Hook::xdp);
  table.add({.id = kfunc_base, .name = {}, .fn = rx_timestamp, .args = {context, long_out}, .hooks = device_hook});
  table.add(
      {.id = kfunc_base + 1, .name = {}, .fn = rx_hash, .args = {context, int_out, int_out}, .hooks = device_hook});
  table.add({.id = kfunc_base + 2,
             .name = {},
             .fn = rx_vlan_tag,
             .args = {context, anything, anything},
             .hooks = device_hook});
}

}  // namespace rxpool::bpf
