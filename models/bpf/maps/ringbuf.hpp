#pragma once
// RINGBUF (kernel/bpf/ringbuf.c): variable records, reserved and then submitted or discarded, read in order by the
// host. A record costs 8 bytes of header plus its size rounded up to 8. Where the kernel maps the data twice in a row
// so that a record may run over the end, here the area is simply twice as long. Headers live outside the box. Left out:
// wake-ups and their flags (the host reads when it likes).

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

class RingbufMap final : public Map {
 public:
  RingbufMap(const MapDefinition& definition, const MapPlacement& place);

  std::uint64_t lookup(Runtime&, std::span<const std::byte>) override { return 0; }
  int update(Runtime&, std::span<const std::byte>, std::span<const std::byte>, std::uint64_t) override {
    return -ENOTSUP;
  }
  int erase(Runtime&, std::span<const std::byte>) override { return -ENOTSUP; }
  int next_key(std::span<const std::byte>, std::span<std::byte>) override { return -ENOTSUP; }

  /// Box offset of `size` bytes, or 0 when the ring is full.
  BoxOffset reserve(std::uint64_t size);
  /// False if `record` is not a reserved record.
  bool commit(std::uint64_t record, bool discard);
  /// Bytes reserved for `record`, 0 if it is none.
  std::uint32_t reserved_bytes(std::uint64_t record) const;
  std::uint64_t available() const { return produced_ - consumed_; }
  std::uint64_t ring_size() const { return size_; }
  std::uint64_t consumer_position() const { return consumed_; }
  std::uint64_t producer_position() const { return produced_; }

  /// Takes the next submitted record; empty when there is none (or the next is still being written). The span is valid
  /// until the program runs again.
  std::span<const std::byte> consume();

 private:
  enum class State : std::uint8_t { none, busy, submitted, discarded };
  struct Header {
    std::uint32_t size = 0;
    State state = State::none;
  };
  Header* header_of(std::uint64_t record);

  Box& box_;
  std::uint64_t size_;
  BoxOffset data_;
  std::uint64_t produced_ = 0;
  std::uint64_t consumed_ = 0;
  std::vector<Header> headers_;  // by 8-byte unit of the ring
};

}  // namespace rxpool::bpf
