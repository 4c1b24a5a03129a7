#pragma once
// The state bits of the signal (scenarios/policies/policy.bpf.h) from breaker and overload detectors; the simulator's
// loop and the agent on a real kernel say it in the same way. Rules CT-20, CT-30.

#include <cstdint>

#include "models/bpf/contexts.hpp"
#include "models/control/breaker.hpp"
#include "models/control/overload.hpp"

namespace rxpool {

/// `low`: free pages are at the low watermark.
inline std::uint32_t signal_state_bits(const CircuitBreaker& breaker, const OverloadDetector& overload, bool low) {
  namespace state = bpf::signal_state;
  return (breaker.state() >= BreakerState::open ? state::circuit_breaker : 0) |
         (overload.rx() ? state::rx_overload : 0) | (overload.tx() ? state::tx_overload : 0) |
         (low || breaker.state() == BreakerState::hard ? state::hard : 0);
}

}  // namespace rxpool
