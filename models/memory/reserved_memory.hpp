#pragma once
// A large table of zeros that costs host memory only where it was ever written: one reserved, untouched mapping.

#include <cstddef>
#include <cstdint>

namespace rxpool {

class ReservedMemory {
 public:
  /// Throws InputError (limit) if the address space does not suffice.
  explicit ReservedMemory(std::size_t bytes);
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  void* base() const { return base_; }
  /// Bytes that the host really holds.
  std::size_t resident_bytes() const;

 private:
  void* base_;
  std::size_t bytes_;
};

}  // namespace rxpool
