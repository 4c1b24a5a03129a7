#pragma once
// What acts outside the CPUs: kswapd's reclaim (rate and latency, PA-51), other users of memory, the vmstat worker
// (PA-26), the sampler, the end of warm-up, the agent that scales a redirect to CPUs (CT-60). Each is one component of
// the engine.

#include <cstdint>
#include <string>
#include <vector>

#include "models/host/host.hpp"

namespace rxpool {

class KswapdActor final : public Actor {
 public:
  KswapdActor(Host& host, unsigned node) : host_(host), node_(node) {}
  void act(Time now) override;

 private:
  Host& host_;
  unsigned node_;
};

class BackgroundActor final : public Actor {
 public:
  BackgroundActor(Host& host, Background& background, std::uint8_t node)
      : host_(host), background_(background), node_(node) {}
  void act(Time now) override;

 private:
  Host& host_;
  Background& background_;
  std::uint8_t node_;
};

/// vmstat_update on every CPU: decays the per-CPU lists once per vm.stat_interval.
class VmstatActor final : public Actor {
 public:
  VmstatActor(Host& host, Time interval) : host_(host), interval_(interval) {}
  void act(Time now) override;

 private:
  Host& host_;
  Time interval_;
};

class SamplerActor final : public Actor {
 public:
  SamplerActor(Host& host, Time every) : host_(host), every_(every) {}
  void act(Time now) override;

 private:
  Host& host_;
  Time every_;
};

class WarmupActor final : public Actor {
 public:
  explicit WarmupActor(Host& host) : host_(host) {}
  void act(Time now) override;

 private:
  Host& host_;
};

/// Reads drops and busy time of the CPUs that a NIC's program redirects to, and tells it how many to use (CT-62).
class CpuScalerActor final : public Actor {
 public:
  CpuScalerActor(Host& host, HostNic& nic) : host_(host), nic_(nic), seen_busy_(nic.cpumap.size()) {}
  void act(Time now) override;

 private:
  Host& host_;
  HostNic& nic_;
  std::vector<Time> seen_busy_;  ///< by entry
  std::uint64_t seen_drops_ = 0;
};

}  // namespace rxpool
