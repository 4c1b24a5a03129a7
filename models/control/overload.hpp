#pragma once
// Overload detectors of one RX queue: is the ring not emptied fast enough (RX_OVERLOAD), does an egress queue push back
// (TX_OVERLOAD)? Inputs are plain readings, each declared with its scope and how old it may be; an input that no host
// supplies is marked. Rules CT-20 to CT-24, CT-26.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

enum class OverloadInput : std::uint8_t { rx_backlog, full_polls, hw_drops, tx_fill, tx_backoff };
inline constexpr std::size_t overload_inputs = 5;

/// Where an input comes from and what it can tell.
struct InputSource {
  enum class Scope : std::uint8_t { queue, port };
  std::string_view name;  ///< as the driver or the kernel names it; empty: the queue has no such thing
  Scope scope = Scope::queue;
  Time refresh;           ///< how often its owner renews it; 0: whenever it is read
  bool sim_only = false;  ///< no unmodified host supplies it
};

/// One source per OverloadInput.
using InputSources = std::array<InputSource, overload_inputs>;

/// What is known of a queue; `hw_drops` is what its driver's profile says of its counter.
constexpr InputSources input_sources(const InputSource& hw_drops, bool transmits) {
  using Scope = InputSource::Scope;
  InputSources sources{{{"completed descriptors", Scope::queue, Time{0}, true},
                        {"napi:napi_poll", Scope::queue, Time{0}, false},
                        hw_drops}};
  if (!transmits) return sources;
  sources[static_cast<std::size_t>(OverloadInput::tx_fill)] = {"filled transmit descriptors", Scope::queue, Time{0},
                                                               true};
  sources[static_cast<std::size_t>(OverloadInput::tx_backoff)] = {"back-off of the egress hook", Scope::queue, Time{0},
                                                                  true};
  return sources;
}

/// One reading of a queue.
struct QueueSample {
  Time now;
  std::uint32_t rx_backlog = 0;  ///< completed descriptors that wait for the driver
  std::uint32_t rx_size = 0;     ///< descriptors
  std::uint64_t hw_drops = 0;    ///< frames lost before the driver saw them, total; of the queue or its port
  std::uint64_t polls = 0;       ///< total
  std::uint64_t full_polls = 0;  ///< of these, used up their budget
  std::uint32_t tx_fill = 0;
  std::uint32_t tx_size = 0;  ///< 0: no TX ring is known
  bool tx_backoff = false;    ///< an egress program asked for it
};

struct OverloadParams {
  double backlog_share = 0.5;     ///< RX: of the ring waits for the driver; above 1 the input is not used
  bool drops = false;             ///< RX: frames were lost since the last look
  std::uint32_t full_polls = 16;  ///< RX: so many polls in a row used up their budget; 0 not used
  double tx_share = 0.75;         ///< TX: of the ring is filled; above 1 not used
  Time clear = milliseconds(1);   ///< without any sign for so long: over
};

class OverloadDetector {
 public:
  explicit OverloadDetector(const OverloadParams& params) : params_(params) {}
  void observe(const QueueSample& sample);
  /// Does a change of this input change what the detector says?
  bool uses(OverloadInput input) const;
  bool rx() const { return rx_.on; }
  bool tx() const { return tx_.on; }

 private:
  struct Latch {
    bool on = false;
    Time last_sign;
    void look(bool sign, Time now, Time clear);
  };
  OverloadParams params_;
  Latch rx_;
  Latch tx_;
  bool started_ = false;
  std::uint64_t hw_drops_ = 0;
  std::uint64_t polls_ = 0;
  std::uint64_t full_polls_ = 0;
  std::uint64_t full_in_row_ = 0;
};

/// What the inputs that a detector uses cannot tell, and why; `look`: how often they are read. `where` is the object of
/// the scenario.
std::vector<std::string> overload_warnings(const OverloadDetector& detector, const InputSources& sources, Time look,
                                           const std::string& where);

}  // namespace rxpool
