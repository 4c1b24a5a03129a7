#pragma once
// An skb as far as its memory and its way matter: the packet it carries, the page behind it, its truesize (SK-2, SK-4)
// and where it was allocated (SK-40). skbs live in one slab per host and are named by index; the slab grows while a
// queue builds up and is reused afterwards.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "models/memory/page.hpp"
#include "models/packet.hpp"

namespace rxpool {

class ReturnHook;
class RxPages;

struct Skb {
  Packet packet;
  RxPages* pages = nullptr;           ///< who gave the page and takes it back
  ReturnHook* return_hook = nullptr;  ///< asked when it goes home; null for none
  std::uint64_t cookie = 0;           ///< what the XDP program left for that
  Time visible;                       ///< from when on others can see it
  Time queued;                        ///< begin of the step that put it into a socket
  PageId page = no_page;
  std::uint32_t truesize = 0;  ///< bytes charged to a socket
  std::uint32_t next = 0;      ///< free list of the slab
  std::uint16_t alloc_cpu = 0;
};

using SkbId = std::uint32_t;

class SkbSlab {
 public:
  explicit SkbSlab(std::size_t expected) { reserve(expected); }

  SkbId allocate() {
    if (free_ == none) reserve(skbs_.size() * 2);
    const SkbId id = free_;
    free_ = skbs_[id].next;
    ++live_;
    return id;
  }
  void free(SkbId id) {
    skbs_[id].next = free_;
    free_ = id;
    --live_;
  }
  Skb& operator[](SkbId id) { return skbs_[id]; }
  std::uint64_t live() const { return live_; }

 private:
  static constexpr SkbId none = 0;  ///< no skb's id, so that ids can lie in a ptr_ring
  void reserve(std::size_t size) {
    std::size_t i = std::max<std::size_t>(skbs_.size(), 1);
    skbs_.resize(size);
    for (; i < size; ++i) {
      skbs_[i].next = free_;
      free_ = static_cast<SkbId>(i);
    }
  }

  std::vector<Skb> skbs_;
  SkbId free_ = none;
  std::uint64_t live_ = 0;
};

}  // namespace rxpool
