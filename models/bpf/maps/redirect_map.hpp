#pragma once
// DEVMAP, DEVMAP_HASH, CPUMAP and XSKMAP (kernel/bpf/devmap.c, cpumap.c, net/xdp/xskmap.c): where bpf_redirect_map may
// send a packet (XD-23, XD-30, XD-41). The program reads entries, only the host writes them. What an entry leads to is
// the datapath's business; here it exists or not.
//
// Values: DEVMAP {u32 ifindex, u32 program}, CPUMAP {u32 qsize, u32 program} with program = index + 1 of a program of
// the same object (0: none) where the kernel has a file descriptor; XSKMAP {u32 socket, 0 = none}.

#include "models/bpf/maps/base.hpp"
#include "models/bpf/maps/hash_table.hpp"

namespace rxpool::bpf {

/// Flags of bpf_redirect_map, and of RedirectInfo.
namespace redirect_flag {
inline constexpr std::uint64_t action_mask = 3;            ///< the verdict when there is no entry
inline constexpr std::uint64_t broadcast = 1U << 3;        ///< BPF_F_BROADCAST
inline constexpr std::uint64_t exclude_ingress = 1U << 4;  ///< BPF_F_EXCLUDE_INGRESS
}  // namespace redirect_flag

class RedirectMap final : public ElementMap {
 public:
  static constexpr std::uint32_t max_queue = 16384;  // CPUMAP qsize, XD-30

  RedirectMap(const MapDefinition& definition, const MapPlacement& place);

  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override;
  int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
             std::uint64_t flags) override;
  int erase(Runtime& runtime, std::span<const std::byte> key) override;
  int next_key(std::span<const std::byte> key, std::span<std::byte> next) override;

  std::uint32_t slot_count() const override { return info().max_entries; }
  bool slot_used(std::uint32_t slot) const override { return present_[slot] != 0; }
  std::int32_t find_slot(std::span<const std::byte> key) const override;
  BoxOffset key_in_box(std::uint32_t slot) override;
  BoxOffset value_in_box(std::uint32_t slot, std::uint32_t) override { return values_.at(slot, 0); }
  std::int32_t slot_after(std::int32_t slot) const override;

  /// What an entry says: ifindex, queue size or socket, and the number of its program in the object, or -1.
  struct Entry {
    std::uint32_t key = 0;
    std::uint32_t target = 0;
    std::int32_t program = -1;
  };
  /// All of them in the order in which the kernel goes through them: an array by key, a hash bucket by bucket (key
  /// modulo buckets, a power of two), the youngest of a bucket first.
  std::vector<Entry> entries() const;

  /// First field of the entry (ifindex, qsize, socket), or 0 if there is none. Allocation free.
  std::uint32_t target(std::uint32_t key) const;
  /// Program index of the entry, or -1.
  std::int32_t target_program(std::uint32_t key) const;
  /// Box offset of the entry's value by its numeric key, or 0.
  BoxOffset entry(std::uint32_t key) const;

 private:
  std::int32_t slot_of(std::uint32_t key) const;
  int check_value(std::span<const std::byte> value) const;
  std::uint32_t field(std::uint32_t slot, std::uint32_t index) const;
  std::int32_t program_of(std::uint32_t slot) const;

  Box& box_;
  bool hashed_;
  std::uint32_t cpus_;
  ValueStore values_;
  HashTable table_;  // DEVMAP_HASH
  std::vector<std::uint8_t> present_;
  std::vector<std::uint32_t> free_;
  BoxOffset key_scratch_;
};

}  // namespace rxpool::bpf
