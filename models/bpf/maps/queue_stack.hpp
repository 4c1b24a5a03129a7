#pragma once
// QUEUE and STACK (kernel/bpf/queue_stack_maps.c): values without keys, first-in first-out or last-in first-out. Values
// never have an address, so they live outside the box.

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

class QueueStackMap final : public Map {
 public:
  explicit QueueStackMap(const MapDefinition& definition);

  std::uint64_t lookup(Runtime&, std::span<const std::byte>) override { return 0; }
  int update(Runtime&, std::span<const std::byte>, std::span<const std::byte>, std::uint64_t) override {
    return -EINVAL;
  }
  int erase(Runtime&, std::span<const std::byte>) override { return -EINVAL; }
  int next_key(std::span<const std::byte>, std::span<std::byte>) override { return -EINVAL; }
  int push(Runtime& runtime, std::span<const std::byte> value, std::uint64_t flags) override;
  int pop(Runtime& runtime, std::span<std::byte> value) override;
  int peek(Runtime& runtime, std::span<std::byte> value) override;

  std::uint32_t size() const { return size_; }
  /// Value `index` in the order in which pop would give them.
  std::span<const std::byte> value(std::uint32_t index) const;

 private:
  std::uint32_t place_of(std::uint32_t index) const;

  bool stack_;
  std::uint32_t oldest_ = 0;
  std::uint32_t size_ = 0;
  std::vector<std::byte> values_;
};

}  // namespace rxpool::bpf
