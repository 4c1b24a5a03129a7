#include "models/bpf/maps/queue_stack.hpp"

namespace rxpool::bpf {

QueueStackMap::QueueStackMap(const MapDefinition& definition)
    : Map(info_of(definition)),
      stack_(static_cast<MapType>(definition.type) == MapType::stack),
      values_(std::size_t{definition.max_entries} * definition.value_size) {}

// Slot of the index-th value that pop would give.
std::uint32_t QueueStackMap::place_of(std::uint32_t index) const {
  const std::uint64_t offset = stack_ ? size_ - 1 - index : index;
  return static_cast<std::uint32_t>((oldest_ + offset) % info().max_entries);
}

std::span<const std::byte> QueueStackMap::value(std::uint32_t index) const {
  return {values_.data() + std::size_t{place_of(index)} * info().value_size, info().value_size};
}

int QueueStackMap::push(Runtime&, std::span<const std::byte> value, std::uint64_t flags) {
  const bool replace_oldest = (flags & update_exist) != 0;
  if ((flags & update_noexist) != 0 || flags > update_exist) {
    return -EINVAL;
  }
  if (size_ == info().max_entries) {
    if (!replace_oldest) {
      return -E2BIG;
    }
    oldest_ = (oldest_ + 1) % info().max_entries;
    --size_;
  }
  const auto slot = (std::uint64_t{oldest_} + size_) % info().max_entries;
  std::memcpy(values_.data() + slot * info().value_size, value.data(), info().value_size);
  ++size_;
  return 0;
}

int QueueStackMap::peek(Runtime&, std::span<std::byte> out) {
  if (size_ == 0) {
    std::fill(out.begin(), out.end(), std::byte{0});
    return -ENOENT;
  }
  std::memcpy(out.data(), value(0).data(), info().value_size);
  return 0;
}

int QueueStackMap::pop(Runtime& runtime, std::span<std::byte> out) {
  const int error = peek(runtime, out);
  if (error == 0) {
    if (!stack_) {
      oldest_ = (oldest_ + 1) % info().max_entries;
    }
    --size_;
  }
  return error;
}

}  // namespace rxpool::bpf
