#include "models/bpf/maps/ringbuf.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t header_bytes = 8;             // BPF_RINGBUF_HDR_SZ
constexpr std::uint64_t max_record = UINT32_MAX / 4;  // RINGBUF_MAX_RECORD_SZ

std::uint64_t footprint(std::uint64_t size) {
  return (size + header_bytes + 7) & ~std::uint64_t{7};
}

}  // namespace

RingbufMap::RingbufMap(const MapDefinition& definition, const MapPlacement& place)
    : Map(info_of(definition)),
      box_(place.box),
      size_(definition.max_entries),
      data_(place.box.map_region(ObjectClass::map_value, size_ * 2, definition.name)),
      headers_(size_ / 8) {}

BoxOffset RingbufMap::reserve(std::uint64_t size) {
  if (size > max_record || footprint(size) > size_ || produced_ + footprint(size) - consumed_ > size_ - 1) {
    return 0;
  }
  const std::uint64_t place = produced_ % size_;
  headers_[place / 8] = {static_cast<std::uint32_t>(size), State::busy};
  produced_ += footprint(size);
  return static_cast<BoxOffset>(data_ + place + header_bytes);
}

RingbufMap::Header* RingbufMap::header_of(std::uint64_t record) {
  const std::uint64_t place = record - data_ - header_bytes;
  if (record < data_ + header_bytes || place >= size_ || place % 8 != 0) {
    return nullptr;
  }
  Header& header = headers_[place / 8];
  return header.state == State::busy ? &header : nullptr;
}

bool RingbufMap::commit(std::uint64_t record, bool discard) {
  Header* header = header_of(record);
  if (header == nullptr) {
    return false;
  }
  header->state = discard ? State::discarded : State::submitted;
  return true;
}

std::uint32_t RingbufMap::reserved_bytes(std::uint64_t record) const {
  const Header* header = const_cast<RingbufMap*>(this)->header_of(record);
  return header == nullptr ? 0 : header->size;
}

std::span<const std::byte> RingbufMap::consume() {
  while (consumed_ != produced_) {
    const std::uint64_t place = consumed_ % size_;
    Header& header = headers_[place / 8];
    if (header.state == State::busy) {
      return {};
    }
    const bool submitted = header.state == State::submitted;
    header.state = State::none;
    consumed_ += footprint(header.size);
    if (submitted) {
      return {box_.at(static_cast<BoxOffset>(data_ + place + header_bytes)), header.size};
    }
  }
  return {};
}

}  // namespace rxpool::bpf
