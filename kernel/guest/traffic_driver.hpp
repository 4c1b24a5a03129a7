#pragma once
// The guest's XDP programs and everything that sends.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/guest/frames.hpp"
#include "kernel/guest/traffic.h"

namespace rxpool::guest {

/// `count` copies through a packet socket, `gap_every` of them between short sleeps.
inline void send(const std::string& interface, const Bytes& frame, std::uint32_t count, std::uint32_t gap_every) {
  const int socket_fd = check(socket(AF_PACKET, SOCK_RAW, 0), "packet socket");
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_IP);
  to.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  to.sll_halen = 6;
  for (std::uint32_t i = 0; i < count; ++i) {
    // A full queue is not an error here: what is not sent is not received.
    if (sendto(socket_fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)) < 0 &&
        errno != ENOBUFS && errno != EAGAIN) {
      fail("sending on " + interface);
    }
    if (i % gap_every == gap_every - 1) {
      usleep(1000);
    }
  }
  close(socket_fd);
}

class Traffic {
 public:
  explicit Traffic(const std::string& object) {
    object_ = bpf_object__open_file(object.c_str(), nullptr);
    if (object_ == nullptr) {
      fail(object);
    }
    check(bpf_object__load(object_), "loading the traffic programs");
    cpus_ = bpf_map__fd(bpf_object__find_map_by_name(object_, "cpus"));
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_) {
      if (std::string(bpf_map__name(map)).ends_with(".bss")) {
        knobs_ = bpf_map__fd(map);
      }
    }
  }
  void set(const TrafficKnobs& knobs) {
    const std::uint32_t zero = 0;
    check(bpf_map_update_elem(knobs_, &zero, &knobs, 0), "knobs");
  }
  void set_cpumap(std::uint32_t cpu, std::uint32_t queue_size) {
    bpf_cpumap_val value{};
    value.qsize = queue_size;
    check(bpf_map_update_elem(cpus_, &cpu, &value, 0), "cpumap");
  }
  void clear_cpumap(std::uint32_t cpu) { bpf_map_delete_elem(cpus_, &cpu); }

  void attach(const std::string& interface, const char* program, std::uint32_t mode = XDP_FLAGS_DRV_MODE) {
    check(bpf_xdp_attach(index(interface), fd(program), mode, nullptr), "attaching to " + interface);
  }
  void detach(const std::string& interface, std::uint32_t mode = XDP_FLAGS_DRV_MODE) {
    check(bpf_xdp_detach(index(interface), mode, nullptr), "detaching from " + interface);
  }
  static int index(const std::string& interface) { return static_cast<int>(if_nametoindex(interface.c_str())); }

  /// `count` copies of the frame in batches; the pool that holds them has a ring of `batch`.
  void live_frames(const Bytes& frame, std::uint32_t count, std::uint32_t batch) {
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.repeat = static_cast<int>(count);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.batch_size = batch;
    check(bpf_prog_test_run_opts(fd("generate"), &options), "live frames");
  }

 private:
  int fd(const char* name) { return bpf_program__fd(bpf_object__find_program_by_name(object_, name)); }
  bpf_object* object_ = nullptr;
  int cpus_ = -1;
  int knobs_ = -1;
};

}  // namespace rxpool::guest
