#include "models/bpf/box.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool::bpf {

namespace {

constexpr std::uint64_t page_bits_bytes = Box::span_bytes / Box::page_bytes / 8;
constexpr std::uint64_t own_bytes = 2 * page_bits_bytes + Box::host_area_bytes;
constexpr std::uint64_t reservation_bytes = own_bytes + Box::guard_bytes + Box::span_bytes + Box::guard_bytes;

std::uint64_t whole_pages(std::uint64_t size) {
  return (size + Box::page_bytes - 1) & ~std::uint64_t{Box::page_bytes - 1};
}

}  // namespace

const char* object_class_name(ObjectClass object_class) {
  switch (object_class) {
    case ObjectClass::context:
      return "context";
    case ObjectClass::packet:
      return "packet";
    case ObjectClass::stack:
      return "stack";
    case ObjectClass::map_value:
      return "map value";
    case ObjectClass::read_only_data:
      return "read-only data";
    case ObjectClass::scratch:
      return "scratch";
  }
  return "?";
}

Box::Box() {
  void* memory = mmap(nullptr, reservation_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw InputError("policy: no 4 GiB of address space for the policy's memory (is there a limit, ulimit -v?)",
                     ExitCode::limit);
  }
  reservation_ = static_cast<std::byte*>(memory);
  base_ = reservation_ + own_bytes + guard_bytes;
  if (mprotect(reservation_, own_bytes, PROT_READ | PROT_WRITE) != 0) {
    munmap(reservation_, reservation_bytes);
    throw InputError("policy: no memory for the policy's runtime", ExitCode::limit);
  }
  readable_pages_ = reinterpret_cast<std::uint64_t*>(reservation_);
  writable_pages_ = reinterpret_cast<std::uint64_t*>(reservation_ + page_bits_bytes);
}

Box::~Box() {
  munmap(reservation_, reservation_bytes);
}

BoxOffset Box::map_region(ObjectClass object_class, std::uint64_t size, const std::string& name) {
  ensure(size > 0, "Box::map_region: a region of no bytes");
  const std::uint64_t begin = next_free_;
  // One unmapped page behind every region; the last page of the box stays unmapped as well.
  if (size > span_bytes || begin + whole_pages(size) + page_bytes > span_bytes) {
    throw InputError("policy: '" + name + "' needs " + std::to_string(size) +
                         " bytes, more than is left of the 4 GiB that one policy can address",
                     ExitCode::limit);
  }
  if (mprotect(base_ + begin, whole_pages(size), PROT_READ | PROT_WRITE) != 0) {
    throw InputError("policy: no memory for '" + name + "' (" + std::to_string(size) + " bytes)", ExitCode::limit);
  }
  next_free_ = begin + whole_pages(size) + page_bytes;
  const auto offset = static_cast<BoxOffset>(begin);
  regions_.push_back({offset, size, object_class, true, name});
  set_pages(readable_pages_, offset, size, true);
  set_pages(writable_pages_, offset, size, true);
  return offset;
}

BoxOffset Box::map_packet_slots(std::uint32_t count, const std::string& name) {
  return map_region(ObjectClass::packet, std::uint64_t{count} * packet_slot_bytes, name);
}

void Box::protect(BoxOffset region_begin) {
  Region* region = const_cast<Region*>(find_region(region_begin, 1));
  ensure(region != nullptr && region->begin == region_begin, "Box::protect: not the start of a region");
  ensure(mprotect(base_ + region->begin, whole_pages(region->size), PROT_READ) == 0, "Box::protect: mprotect failed");
  region->writable = false;
  set_pages(writable_pages_, region->begin, region->size, false);
}

void Box::unmap_region(BoxOffset region_begin) {
  const Region* region = find_region(region_begin, 1);
  ensure(region != nullptr && region->begin == region_begin, "Box::unmap_region: not the start of a region");
  // Fresh PROT_NONE pages over the old ones: the memory goes back, the reservation stays.
  void* memory = mmap(base_ + region->begin, whole_pages(region->size), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  ensure(memory != MAP_FAILED, "Box::unmap_region: mmap failed");
  set_pages(readable_pages_, region->begin, region->size, false);
  set_pages(writable_pages_, region->begin, region->size, false);
  if (region->begin + whole_pages(region->size) + page_bytes == next_free_) {
    next_free_ = region->begin;  // the newest region gives its place back
  }
  regions_.erase(regions_.begin() + (region - regions_.data()));
}

const Region* Box::find_region(std::uint64_t offset, std::uint64_t length) const {
  const auto after = std::upper_bound(regions_.begin(), regions_.end(), offset,
                                      [](std::uint64_t at, const Region& region) { return at < region.begin; });
  if (after == regions_.begin()) {
    return nullptr;
  }
  const Region& region = *std::prev(after);
  return offset < region.end() && length <= region.end() - offset ? &region : nullptr;
}

void Box::set_pages(PageBits pages, BoxOffset begin, std::uint64_t size, bool value) {
  for (std::uint64_t page = begin / page_bytes; page < (begin + whole_pages(size)) / page_bytes; ++page) {
    const std::uint64_t bit = std::uint64_t{1} << (page % 64);
    pages[page / 64] = value ? pages[page / 64] | bit : pages[page / 64] & ~bit;
  }
}

}  // namespace rxpool::bpf
