#include "models/bpf/checks/context_fields.hpp"

namespace rxpool::bpf::checks {
namespace {

constexpr ContextField xdp_fields[] = {{"data", 0, 4, Kind::packet},
                                       {"data_end", 4, 4, Kind::packet_end},
                                       {"data_meta", 8, 4, Kind::packet_meta},
                                       {"ingress_ifindex", 12, 4},
                                       {"rx_queue_index", 16, 4},
                                       {"egress_ifindex", 20, 4}};  // last: only xdp/devmap programs have it
constexpr ContextField return_fields[] = {
    {"held_ns", 0, 8}, {"cookie", 8, 8},    {"rx_hash", 16, 4}, {"rx_queue_index", 20, 4},
    {"bytes", 24, 4},  {"consumer", 28, 4}, {"cpu", 32, 4}};
constexpr ContextField egress_fields[] = {{"data", 0, 4, Kind::packet},
                                          {"data_end", 4, 4, Kind::packet_end},
                                          {"rx_hash", 8, 4},
                                          {"rx_queue_index", 12, 4},
                                          {"egress_ifindex", 16, 4},
                                          {"tx_queue", 20, 4},
                                          {"ring_fill", 24, 4},
                                          {"ring_size", 28, 4},
                                          {"backoff", 32, 4, Kind::scalar, true}};

}  // namespace

std::span<const ContextField> context_fields(Hook hook) {
  switch (hook) {
    case Hook::rxpool_return:
      return return_fields;
    case Hook::rxpool_egress:
      return egress_fields;
    case Hook::xdp_devmap:
      return xdp_fields;
    default:
      return std::span(xdp_fields).first(5);
  }
}

const char* context_name(Hook hook) {
  switch (hook) {
    case Hook::rxpool_return:
      return "struct rxpool_return_ctx";
    case Hook::rxpool_egress:
      return "struct rxpool_egress_ctx";
    default:
      return "struct xdp_md";
  }
}

}  // namespace rxpool::bpf::checks
