#include "models/traffic/tcp/congestion_control.hpp"

#include "models/traffic/tcp/bbr.hpp"
#include "models/traffic/tcp/loss_based.hpp"
#include "sim/error.hpp"

namespace rxpool {

std::unique_ptr<CongestionControl> make_congestion_control(const CongestionParams& params, RandomStream& random) {
  switch (params.algorithm) {
    case TcpAlgorithm::reno:
      return std::make_unique<Reno>(params.initial_window);
    case TcpAlgorithm::cubic:
      return std::make_unique<Cubic>(params.initial_window);
    case TcpAlgorithm::dctcp:
      return std::make_unique<Dctcp>(params.initial_window);
    case TcpAlgorithm::bbr:
      return std::make_unique<Bbr>(params.initial_window, random);
  }
  throw BugError("tcp: unknown congestion control");
}

}  // namespace rxpool
