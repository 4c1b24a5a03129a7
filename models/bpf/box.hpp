#pragma once
// The box: 4 GiB of reserved address space in which everything a program can address lives (packets, contexts, stacks,
// map values, data sections). A BPF pointer is a 32-bit offset into it, zero-extended; an access goes to base + offset
// + a signed 16-bit displacement, so 64 KiB of PROT_NONE on each side keep whatever a program computes inside the
// reservation. The first 64 KiB stay unmapped, so NULL, map handles and their neighbourhood fault. Object classes lie
// in regions of their own with unmapped pages between them. Below the lower guard, where no program can reach, one host
// area holds what compiled code needs next to its base register.
// Left out: protection between objects of one region (the checked interpreter tells those apart).

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace rxpool::bpf {

/// A BPF pointer: offset from the base of the box; 0 is NULL.
using BoxOffset = std::uint32_t;

enum class ObjectClass : std::uint8_t { context, packet, stack, map_value, read_only_data, scratch };
const char* object_class_name(ObjectClass object_class);

/// One mapped stretch of the box. `size` is what was asked for; the pages behind it are rounded up.
struct Region {
  BoxOffset begin = 0;
  std::uint64_t size = 0;
  ObjectClass object_class = ObjectClass::scratch;
  bool writable = true;
  std::string name;

  std::uint64_t end() const { return begin + size; }
};

class Box {
 public:
  static constexpr std::uint64_t span_bytes = std::uint64_t{1} << 32;
  static constexpr std::uint64_t guard_bytes = 64 * 1024;
  static constexpr BoxOffset first_offset = 64 * 1024;
  static constexpr std::uint32_t page_bytes = 4096;
  static constexpr std::uint32_t packet_slot_bytes = 4096;
  static constexpr std::uint32_t packet_headroom = 256;  // XDP_PACKET_HEADROOM, XD-1
  static constexpr std::uint64_t host_area_bytes = 16 * 1024;

  /// Throws InputError (exit 5) if the address space cannot be had.
  Box();
  ~Box();
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  /// Maps a zeroed region of at least `size` bytes, page aligned, with an unmapped page before and after it.
  /// Throws InputError (exit 5) when the box or the memory is full.
  BoxOffset map_region(ObjectClass object_class, std::uint64_t size, const std::string& name);
  /// Packet slots of 4 KiB each, in one region; slot i starts at the returned offset + i * packet_slot_bytes.
  BoxOffset map_packet_slots(std::uint32_t count, const std::string& name = "packets");
  /// Makes a region read-only for programs and helpers (BPF_F_RDONLY_PROG; .rodata).
  void protect(BoxOffset region_begin);
  void unmap_region(BoxOffset region_begin);

  /// `length` bytes at `offset`, or an empty span if any of them is not mapped. For helpers: the only way from a
  /// register to memory. A writable span of read-only memory is refused.
  std::span<const std::byte> readable(std::uint64_t offset, std::uint64_t length) const {
    return covered(readable_pages_, offset, length) ? std::span<const std::byte>{base_ + offset, length}
                                                    : std::span<const std::byte>{};
  }
  std::span<std::byte> writable(std::uint64_t offset, std::uint64_t length) {
    return covered(writable_pages_, offset, length) ? std::span<std::byte>{base_ + offset, length}
                                                    : std::span<std::byte>{};
  }
  /// `count` objects of type T at `offset`, checked for bounds and alignment; empty when refused.
  template <class T>
  std::span<T> span(std::uint64_t offset, std::uint64_t count = 1) {
    static_assert(std::is_trivially_copyable_v<T>);
    constexpr bool read_only = std::is_const_v<T>;
    if (offset % alignof(T) != 0 || count > span_bytes / sizeof(T) ||
        !covered(read_only ? readable_pages_ : writable_pages_, offset, count * sizeof(T))) {
      return {};
    }
    return {reinterpret_cast<T*>(base_ + offset), count};
  }

  /// Host address of an offset that the caller obtained from map_region; unchecked.
  std::byte* at(BoxOffset offset) { return base_ + offset; }
  const std::byte* at(BoxOffset offset) const { return base_ + offset; }
  std::byte* base() { return base_; }
  /// Zeroed memory of host_area_bytes that ends at base() - guard_bytes.
  std::byte* host_area() { return base_ - guard_bytes - host_area_bytes; }

  /// The region that holds all of [offset, offset + length), or nullptr.
  const Region* find_region(std::uint64_t offset, std::uint64_t length) const;
  std::span<const Region> regions() const { return regions_; }
  /// True if a host address lies in the reservation, guards included.
  bool owns(const void* address) const {
    const auto* byte = static_cast<const std::byte*>(address);
    return byte >= base_ - guard_bytes && byte < base_ + span_bytes + guard_bytes;
  }

 private:
  using PageBits = std::uint64_t*;

  static bool covered(const std::uint64_t* pages, std::uint64_t offset, std::uint64_t length) {
    if (offset >= span_bytes || length > span_bytes - offset || length == 0) {
      return false;
    }
    const std::uint64_t last = (offset + length - 1) / page_bytes;
    for (std::uint64_t page = offset / page_bytes; page <= last; ++page) {
      if ((pages[page / 64] >> (page % 64) & 1) == 0) {
        return false;
      }
    }
    return true;
  }
  void set_pages(PageBits pages, BoxOffset begin, std::uint64_t size, bool value);

  std::byte* reservation_ = nullptr;
  std::byte* base_ = nullptr;
  std::uint64_t next_free_ = first_offset;
  std::vector<Region> regions_;        // sorted by begin
  PageBits readable_pages_ = nullptr;  // a bit per page, in the reservation below the host area
  PageBits writable_pages_ = nullptr;
};

}  // namespace rxpool::bpf
