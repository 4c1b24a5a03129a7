#include "kernel/lab/xsk.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "kernel/lab/reader.hpp"

namespace rxpool::lab {
namespace {

constexpr std::uint32_t frame_bytes = 4096;
constexpr std::uint32_t completion_slots = 64;  // the kernel demands a COMPLETION ring, used or not

}  // namespace

template <typename Slot>
Xsk::Ring<Slot> Xsk::map_ring(const xdp_ring_offset& at, std::uint32_t slots, std::int64_t offset) const {
  void* memory = mmap(nullptr, at.desc + slots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                      static_cast<off_t>(offset));
  if (memory == MAP_FAILED) {
    fail("mapping a ring of the AF_XDP socket");
  }
  char* begin = static_cast<char*>(memory);
  return {.producer = reinterpret_cast<std::uint32_t*>(begin + at.producer),
          .consumer = reinterpret_cast<std::uint32_t*>(begin + at.consumer),
          .slots = reinterpret_cast<Slot*>(begin + at.desc),
          .mask = slots - 1};
}

void Xsk::make_umem() {
  const std::size_t bytes = std::size_t{plan_.frames} * frame_bytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) {
    fail("the umem of the AF_XDP socket");
  }
  umem_ = static_cast<char*>(memory);
  xdp_umem_reg umem{};
  umem.addr = reinterpret_cast<std::uint64_t>(umem_);
  umem.len = bytes;
  umem.chunk_size = frame_bytes;
  const auto set = [&](int option, const auto& value) {
    if (setsockopt(fd_, SOL_XDP, option, &value, sizeof(value)) != 0) {
      fail("setting up the AF_XDP socket");
    }
  };
  set(XDP_UMEM_REG, umem);
  set(XDP_UMEM_FILL_RING, plan_.fill_ring);
  set(XDP_UMEM_COMPLETION_RING, completion_slots);
  set(XDP_RX_RING, plan_.rx_ring);
}

Xsk::Xsk(const XskPlan& plan, int interface_index) : plan_(plan), fd_(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) {
    fail("an AF_XDP socket (needs CAP_NET_RAW)");
  }
  make_umem();
  xdp_mmap_offsets offsets{};
  socklen_t size = sizeof(offsets);
  if (getsockopt(fd_, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) != 0) {
    fail("the rings of the AF_XDP socket");
  }
  fill_ = map_ring<std::uint64_t>(offsets.fr, plan.fill_ring, XDP_UMEM_PGOFF_FILL_RING);
  rx_ = map_ring<xdp_desc>(offsets.rx, plan.rx_ring, XDP_PGOFF_RX_RING);
  const std::uint32_t first = std::min(plan.frames, plan.fill_ring);
  for (std::uint32_t i = 0; i < first; ++i) {
    fill_.slots[i] = std::uint64_t{i} * frame_bytes;
  }
  std::atomic_ref(*fill_.producer).store(first, std::memory_order_release);
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_flags = XDP_COPY;
  address.sxdp_ifindex = static_cast<std::uint32_t>(interface_index);
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    fail("binding the AF_XDP socket");
  }
}

Xsk::~Xsk() {
  stop();
  close(fd_);
  munmap(umem_, std::size_t{plan_.frames} * frame_bytes);
}

void Xsk::start(std::int64_t begin_ns) {
  thread_ = std::thread([this, begin_ns] { read_until_stopped(begin_ns); });
}

void Xsk::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

// Takes up to a batch off the RX ring and gives the frames back to the kernel.
std::uint32_t Xsk::take() {
  const std::uint32_t begin = *rx_.consumer;
  const std::uint32_t ready = std::atomic_ref(*rx_.producer).load(std::memory_order_acquire) - begin;
  const std::uint32_t count = std::min(ready, plan_.batch);
  const std::uint32_t filled = *fill_.producer;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t frame = rx_.slots[(begin + i) & rx_.mask].addr;
    fill_.slots[(filled + i) & fill_.mask] = frame / frame_bytes * frame_bytes;
  }
  std::atomic_ref(*fill_.producer).store(filled + count, std::memory_order_release);
  std::atomic_ref(*rx_.consumer).store(begin + count, std::memory_order_release);
  return count;
}

void Xsk::read_until_stopped(std::int64_t begin_ns) {
  run_on_cpu(plan_.cpu);
  go_before_others(Urgency::works);
  while (!stop_) {
    const std::int64_t now = now_ns();
    if (plan_.paused || pauses_at(plan_.pauses, static_cast<double>(now - begin_ns) / 1e6)) {
      sleep_until_ns(now + 100'000);
      continue;
    }
    const std::uint32_t got = take();
    received_ += got;
    if (got == 0) {
      pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
      poll(&wait, 1, 1);
    } else if (plan_.service_ns > 0) {
      work_ns(plan_.service_ns * got);
    }
  }
}

Xsk::State Xsk::state() const {
  State state{.received = received_, .statistics = {}};
  socklen_t size = sizeof(state.statistics);
  getsockopt(fd_, SOL_XDP, XDP_STATISTICS, &state.statistics, &size);
  return state;
}

}  // namespace rxpool::lab
