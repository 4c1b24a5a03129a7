#include "models/xdp/program.hpp"

namespace rxpool {

namespace {

class OnePacket final : public XdpLoop {
 public:
  bool answered(const XdpVerdict& verdict, Time&) override {
    said = verdict;
    return false;
  }
  XdpVerdict said;
};

}  // namespace

XdpVerdict XdpProgram::run_one(const Packet& packet, std::uint16_t cpu, Time start) {
  OnePacket loop;
  run({&packet, 1}, cpu, start, loop);
  return loop.said;
}

}  // namespace rxpool
