#pragma once
// Something that interrupts one core at an instant: a device's interrupt line, an hrtimer. The instant may be only a
// lower bound ("not before"), because a device's work is known only so far; then the source is asked again.

#include "sim/time.hpp"

namespace rxpool {

class Core;

class InterruptSource {
 public:
  virtual ~InterruptSource() = default;
  /// Called when the core's clock has reached at(). Either takes the interrupt (the core has entered the hard interrupt
  /// and charges entry and exit), or moves at() on, or leaves it where others decide first. Returns true if it
  /// interrupted.
  virtual bool interrupt(Core& core) = 0;

  Time at() const { return at_; }
  bool device() const { return device_; }

 protected:
  explicit InterruptSource(bool device) : device_(device) {}
  Time at_ = Time::never();

 private:
  bool device_;  ///< class interrupt rather than timer
};

}  // namespace rxpool
