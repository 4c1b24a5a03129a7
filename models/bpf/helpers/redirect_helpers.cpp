// bpf_redirect and bpf_redirect_map (net/core/filter.c:xdp_do_redirect and friends, kernel-model 5.3): they only record
// where the packet shall go; the datapath acts when the program returns XDP_REDIRECT.

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/maps/redirect_map.hpp"

namespace rxpool::bpf {
namespace {

std::uint64_t redirect(Runtime& runtime, std::uint64_t ifindex, std::uint64_t flags, std::uint64_t, std::uint64_t,
                       std::uint64_t) {
  if (flags != 0) {
    return xdp_aborted;
  }
  runtime.redirect = {0, 0, static_cast<std::uint32_t>(ifindex), true};
  return xdp_redirect;
}

std::uint64_t redirect_map(Runtime& runtime, std::uint64_t handle, std::uint64_t key, std::uint64_t flags,
                           std::uint64_t, std::uint64_t) {
  const Map* map = runtime.map(handle);
  using namespace redirect_flag;
  if (map == nullptr || !is_redirect_map(map->type())) {
    runtime.abort(Abort::memory);
  }
  const std::uint64_t allowed = action_mask | (is_device_map(map->type()) ? broadcast | exclude_ingress : 0);
  if ((flags & ~allowed) != 0) {
    return xdp_aborted;
  }
  const auto& targets = static_cast<const RedirectMap&>(*map);
  const auto index = static_cast<std::uint32_t>(key);
  if (key > UINT32_MAX || targets.entry(index) == 0) {
    if ((flags & broadcast) == 0) {
      runtime.redirect = {};
      return flags & action_mask;
    }
  }
  runtime.redirect = {flags, static_cast<std::uint32_t>(handle), index, true};
  return xdp_redirect;
}

}  // namespace

void add_redirect_helpers(HelperTable& table) {
  using enum ArgKind;
  constexpr std::uint32_t hooks =
      hook_bit(Hook::xdp) | hook_bit(Hook::xdp_devmap) | hook_bit(Hook::xdp_cpumap) | hook_bit(Hook::rxpool_egress);
  table.add({.id = 23, .name = {}, .fn = redirect, .args = {anything, anything}, .hooks = hooks});
  table.add({.id = 51, .name = {}, .fn = redirect_map, .args = {map, anything, anything}, .hooks = hooks});
}

}  // namespace rxpool::bpf
