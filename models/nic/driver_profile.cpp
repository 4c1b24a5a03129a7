#include "models/nic/driver_profile.hpp"

#include <algorithm>

#include "models/memory/page.hpp"
#include "models/nic/copy_buffers.hpp"
#include "models/nic/flip_buffers.hpp"
#include "models/nic/fragment_buffers.hpp"
#include "models/nic/mempool_buffers.hpp"
#include "models/nic/pool_buffers.hpp"
#include "models/nic/umem_buffers.hpp"

namespace rxpool {
namespace {

using scenario::Driver;

constexpr DriverProfile profiles[] = {
    {Driver::mlx5, "rx_out_of_buffer", true, "buff_alloc_err", true},
    {Driver::mlx5_striding, "rx_out_of_buffer", true, "buff_alloc_err", true},
    {Driver::ixgbe, "rx_no_dma_resources", true, "alloc_rx_page_failed", false},
    {Driver::i40e, "port_rx_dropped", true, "rx_pg_alloc_fail", false},
    {Driver::ice, "rx_dropped", true, "rx_pg_alloc_fail", true},
    {Driver::mlx4, "rx_dropped", true, "rx_alloc_fail", false},
    {Driver::virtio_net, "hw_drop_overruns", false, "rx_alloc_fail", false},
    {Driver::vmxnet3, "rx_dropped", false, "rx_alloc_fail", true},
    {Driver::veth, "tx_xdp_xmit_errors", false, "rx_alloc_fail", true},
};

constexpr std::uint32_t half_page = page_bytes / 2;  // bytes: stride at MTU 1500 without XDP
constexpr std::uint32_t skb_overhead = 256;          // sk_buff; the shared info lies inside the buffer (SK-2)
// A live frame of BPF_PROG_TEST_RUN keeps 112 bytes of its own at the start of the page.
constexpr std::uint32_t veth_frame_truesize = page_bytes - 112 + skb_overhead;

// DR-16: time from posting a UMR to its completion; general knowledge, about one round trip over PCIe.
constexpr Time umr_latency = microseconds(1);

constexpr KernelRelease mlx4_reuses_pages{4, 12};  // DR-24: fragments of order-3 pages before

PoolBuffersParams mlx5(const RxBuffersRequest& request) {
  const std::uint32_t stride = request.xdp ? page_bytes : half_page;
  // DR-12: a refill is due when this much is missing.
  const std::uint32_t cap_bytes = request.xdp ? 256 * 1024 : 512 * 1024;
  const std::uint32_t wqe_bulk = std::max(1u, std::min(cap_bytes, request.ring_size * stride / 4) / stride);
  PoolBuffersParams params;
  params.slots_per_page = page_bytes / stride;
  params.threshold = wqe_bulk;
  params.unit = std::min(64 * params.slots_per_page, request.ring_size);  // DR-13: at most 64 pages' worth
  params.truesize = stride + skb_overhead;
  params.release_at_refill = true;
  params.on_failure = PoolBuffersParams::OnFailure::roll_back_and_repoll;
  return params;
}

PoolBuffersParams mlx5_striding(const RxBuffersRequest& request) {
  const std::uint32_t stride = request.xdp ? page_bytes : half_page;
  PoolBuffersParams params;
  params.slots_per_page = page_bytes / stride;
  params.unit = 64 * params.slots_per_page;  // DR-15, DR-19: one WQE of 64 pages
  params.whole_units = true;
  const std::uint32_t wqes = request.ring_size / params.unit;
  params.threshold = std::clamp(wqes / 2 - 1, 1u, 2u) * params.unit;  // DR-16
  params.truesize = stride + skb_overhead;
  params.release_at_refill = true;
  params.on_failure = PoolBuffersParams::OnFailure::drop_unit_and_stop;
  params.ready_after = umr_latency;
  return params;
}

PoolBuffersParams release_at_completion(const RxBuffersRequest& request, bool halves, bool repoll) {
  PoolBuffersParams params;
  params.slots_per_page = halves && !request.xdp ? 2 : 1;
  params.threshold = params.slots_per_page;
  params.unit = 64;
  params.truesize = page_bytes / params.slots_per_page + skb_overhead;
  params.release_at_refill = false;
  params.on_failure =
      repoll ? PoolBuffersParams::OnFailure::keep_and_repoll : PoolBuffersParams::OnFailure::keep_and_stop;
  return params;
}

}  // namespace

const DriverProfile& driver_profile(Driver driver) {
  return profiles[static_cast<std::size_t>(driver)];
}

RxBuffersMade make_rx_buffers(const RxBuffersRequest& request, PagePools& pools, PageAllocator& allocator) {
  const auto pool = [&](bool napi) -> PagePool& {
    PagePoolParameters params;
    params.pool_size = request.pool_size;
    params.nid = request.driver == Driver::veth ? numa_no_node : request.node;
    params.napi_list_owner = napi ? request.napi_list_owner : nullptr;
    params.dma_map = request.driver != Driver::veth;
    params.dma_direction = request.xdp ? DmaDirection::bidirectional : DmaDirection::from_device;
    return pools.create(params);
  };
  const auto from_pool = [&](const PoolBuffersParams& params) {
    PagePool& made = pool(true);
    return RxBuffersMade{std::make_unique<PoolBuffers>(params, made, allocator, request.ring_size), &made};
  };
  const auto flip = [&](std::uint32_t threshold, bool repoll) {
    FlipBuffersParams params;
    params.threshold = params.unit = threshold;
    params.repoll_on_failure = repoll;
    return RxBuffersMade{std::make_unique<FlipBuffers>(params, allocator, request.ring_size), nullptr};
  };
  const auto fragments = [&](std::uint32_t threshold) {
    FragmentBuffersParams params;
    params.threshold = threshold;
    return RxBuffersMade{std::make_unique<FragmentBuffers>(params, allocator), nullptr};
  };
  if (request.mempool != 0) {
    return {std::make_unique<MempoolBuffers>(request.mempool, request.mempool_put, allocator), nullptr};
  }
  switch (request.driver) {
    case Driver::mlx5:
      if (request.umem != nullptr) {
        return {std::make_unique<UmemBuffers>(*request.umem, allocator, mlx5(request).threshold), nullptr};
      }
      return from_pool(mlx5(request));
    case Driver::mlx5_striding:
      return from_pool(mlx5_striding(request));
    case Driver::ice:
      return from_pool(release_at_completion(request, true, true));
    case Driver::vmxnet3:
      return from_pool(release_at_completion(request, false, false));
    case Driver::ixgbe:
      return flip(16, false);
    case Driver::i40e:
      return flip(32, true);
    case Driver::mlx4:
      if (allocator.parameters().release >= mlx4_reuses_pages) return flip(8, false);
      return fragments(8);
    case Driver::virtio_net:
      return fragments(std::min(64u, request.ring_size) / 2);  // kernel-model §4.5
    case Driver::veth:
      break;
  }
  PagePool& made = pool(false);
  return {std::make_unique<CopyBuffers>(made, allocator, veth_frame_truesize), &made};
}

}  // namespace rxpool
