#pragma once
// Where the pages of one RX queue come from and go back to, seen from whoever holds one of its packets. The memory
// models differ (page_pool, half-page flip, page fragments); who frees an skb need not know which one it is.

#include "models/memory/context.hpp"
#include "models/memory/page.hpp"

namespace rxpool {

class RxPages {
 public:
  virtual ~RxPages() = default;
  /// An skb's share of the page comes home (SK-45 and before: PP-20 to PP-26, or put_page).
  virtual void put(MemoryContext& context, PageId page) = 0;
  /// Does that put touch nothing but what belongs to this CPU?
  virtual bool put_is_private(const MemoryContext& context, PageId page) const = 0;
  /// Might that put touch a zone, which all CPUs share?
  virtual bool put_may_touch_zone(const MemoryContext& context, PageId page) const = 0;

  // Frames that a driver has transmitted.
  /// put() by the poll of the NAPI that owns the pages (PP-20: page_pool_recycle_direct).
  virtual void put_direct(MemoryContext& context, PageId page) { put(context, page); }
  /// Are they pages of a page_pool, which takes them back in bulk (PP-30)?
  virtual bool from_pool() const { return false; }
  /// Might that many puts in a row touch a zone?
  virtual bool puts_may_touch_zone(const MemoryContext& /*context*/, std::uint32_t /*count*/, bool /*direct*/) const {
    return true;
  }
};

}  // namespace rxpool
