#include "models/bpf/map_access.hpp"

#include "models/bpf/maps/queue_stack.hpp"
#include "models/bpf/maps/reference_map.hpp"
#include "models/bpf/maps/ringbuf.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

std::span<const std::byte> as_span(const Bytes& bytes) {
  return std::as_bytes(std::span(bytes));
}

Bytes to_bytes(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {first, first + bytes.size()};
}

bool is_queue(MapType type) {
  return type == MapType::queue || type == MapType::stack;
}

bool is_reference(MapType type) {
  return type == MapType::prog_array || type == MapType::array_of_maps || type == MapType::hash_of_maps ||
         type == MapType::perf_event_array;
}

bool has_elements(MapType type) {
  return !is_queue(type) && !is_reference(type) && type != MapType::ringbuf && type != MapType::bloom_filter;
}

}  // namespace

std::uint32_t MapAccess::values_per_element() const {
  return has_elements(map_->type()) ? static_cast<ElementMap*>(map_)->values_per_element() : 1;
}

Bytes MapAccess::value_of(std::uint32_t slot) const {
  auto& elements = static_cast<ElementMap&>(*map_);
  Bytes value;
  for (std::uint32_t cpu = 0; cpu < elements.values_per_element(); ++cpu) {
    const std::byte* at = runtime_->box->at(elements.value_in_box(slot, cpu));
    const Bytes one = to_bytes({at, info().value_size});
    value.insert(value.end(), one.begin(), one.end());
  }
  return value;
}

std::optional<Bytes> MapAccess::read(const Bytes& key) const {
  if (key.size() != info().key_size || key.empty()) {
    return std::nullopt;
  }
  if (is_reference(map_->type())) {
    const std::uint32_t reference = static_cast<ReferenceMap*>(map_)->reference(as_span(key));
    if (reference == 0) {
      return std::nullopt;
    }
    return to_bytes(std::as_bytes(std::span(&reference, 1)));
  }
  if (!has_elements(map_->type())) {
    return std::nullopt;
  }
  if (map_->type() == MapType::lpm_trie) {  // the kernel answers with the longest match here too
    const std::uint64_t at = map_->lookup(*runtime_, as_span(key));
    return at == 0 ? std::nullopt
                   : std::optional(to_bytes({runtime_->box->at(static_cast<BoxOffset>(at)), info().value_size}));
  }
  const std::int32_t slot = static_cast<ElementMap*>(map_)->find_slot(as_span(key));
  return slot < 0 ? std::nullopt : std::optional(value_of(static_cast<std::uint32_t>(slot)));
}

// A value of a per-CPU map is written CPU by CPU: the first creates the element.
int MapAccess::write_one(std::span<const std::byte> key, const Bytes& value, std::uint64_t flags) const {
  const std::uint32_t cpus = values_per_element();
  const std::uint32_t size = info().value_size;
  if (value.size() != size && value.size() != std::size_t{size} * cpus) {
    return -EINVAL;
  }
  const std::uint32_t own_cpu = runtime_->cpu;
  int error = 0;
  for (std::uint32_t cpu = 0; cpu < cpus && error == 0; ++cpu) {
    const auto part = as_span(value).subspan(value.size() == size ? 0 : std::size_t{size} * cpu, size);
    runtime_->cpu = cpu;
    error = map_->update(*runtime_, key, part, cpu == 0 ? flags : update_any);
  }
  runtime_->cpu = own_cpu;
  return error;
}

int MapAccess::write(const Bytes& key, const Bytes& value, std::uint64_t flags) const {
  if (is_queue(map_->type()) || map_->type() == MapType::bloom_filter) {
    return value.size() != info().value_size || !key.empty() ? -EINVAL : map_->push(*runtime_, as_span(value), flags);
  }
  return key.size() != info().key_size ? -EINVAL : write_one(as_span(key), value, flags);
}

int MapAccess::erase(const Bytes& key) const {
  return key.size() != info().key_size ? -EINVAL : map_->erase(*runtime_, as_span(key));
}

std::vector<std::pair<Bytes, Bytes>> MapAccess::dump() const {
  std::vector<std::pair<Bytes, Bytes>> all;
  if (is_queue(map_->type())) {
    const auto& queue = static_cast<QueueStackMap&>(*map_);
    for (std::uint32_t i = 0; i < queue.size(); ++i) {
      all.emplace_back(Bytes{}, to_bytes(queue.value(i)));
    }
  } else if (is_reference(map_->type())) {
    Bytes key;
    Bytes next(info().key_size);
    while (map_->next_key(as_span(key), std::as_writable_bytes(std::span(next))) == 0) {
      key = next;
      if (const auto value = read(key)) {
        all.emplace_back(key, *value);
      }
    }
  } else if (has_elements(map_->type())) {
    auto& elements = static_cast<ElementMap&>(*map_);
    for (std::int32_t slot = elements.slot_after(-1); slot >= 0; slot = elements.slot_after(slot)) {
      const auto used = static_cast<std::uint32_t>(slot);
      const std::byte* key = runtime_->box->at(elements.key_in_box(used));
      all.emplace_back(to_bytes({key, info().key_size}), value_of(used));
    }
  }
  return all;
}

std::vector<Bytes> MapAccess::drain_ring() const {
  std::vector<Bytes> records;
  if (map_->type() == MapType::ringbuf) {
    auto& ring = static_cast<RingbufMap&>(*map_);
    while (ring.available() != 0) {
      const std::uint64_t before = ring.consumer_position();
      const auto record = ring.consume();
      if (ring.consumer_position() == before) {
        break;  // the next one is still being written
      }
      if (!record.empty()) {
        records.push_back(to_bytes(record));
      }
    }
  }
  return records;
}

std::uint64_t MapAccess::read_u64(std::uint32_t key) const {
  const auto value = read(to_bytes(std::as_bytes(std::span(&key, 1))));
  if (!value || info().value_size != 8) {
    throw InputError("map " + info().name + " has no 8-byte value at " + std::to_string(key));
  }
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < value->size(); at += 8) {
    std::uint64_t one = 0;
    std::memcpy(&one, value->data() + at, 8);
    sum += one;
  }
  return sum;
}

void MapAccess::write_u64(std::uint32_t key, std::uint64_t value) const {
  const int error = write(to_bytes(std::as_bytes(std::span(&key, 1))), to_bytes(std::as_bytes(std::span(&value, 1))));
  if (error != 0) {
    throw InputError("map " + info().name + ": writing " + std::to_string(key) + " gives " + std::to_string(error));
  }
}

}  // namespace rxpool::bpf
