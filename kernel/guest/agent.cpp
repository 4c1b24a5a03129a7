// The guest's only program beside the shell: loads the probes, drives traffic through every page_pool user that the
// guest has, and writes the log to a raw disk. Phases are sized so that the ring buffer holds one of them whole; it is
// emptied between phases, never during one, so that reading does not disturb the order of calls. A record that was
// lost ends the run with an error; where a probe was skipped, the log says between which numbers.
//   agent PROBES.bpf.o TRAFFIC.bpf.o DISK NODE_SHIFT OPERATIONS SEED
//   agent FROM TO PACKETS      sends so many frames out of one NIC to another one's address

#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <string>

#include "kernel/guest/pressure.hpp"
#include "kernel/guest/probe_log.hpp"
#include "kernel/guest/reader.hpp"
#include "kernel/guest/traffic_driver.hpp"

namespace rxpool::guest {
namespace {

constexpr std::uint32_t address(std::uint32_t net, std::uint32_t host) {
  return 198U << 24 | 18U << 16 | net << 8 | host;
}

// Every phase is one use of a pool from its creation to its end, with drawn sizes.
class Phases {
 public:
  Phases(Log& log, Traffic& traffic, std::uint32_t seed) : log_(log), traffic_(traffic), random_(seed) {}

  void run(std::uint64_t operations) {
    for (int round = 0; log_.operations() < operations; ++round) {
      for (int i = 0; i < 4; ++i) {
        generator_only();
      }
      through_veth(false);
      through_veth(true);
      copied_by_veth();
      copied_by_generic_xdp();
      through_vmxnet3();
      several_pools_through_vmxnet3();
      through_virtio();
      std::printf("agent: round %d, %llu operations\n", round, static_cast<unsigned long long>(log_.operations()));
      std::fflush(stdout);
    }
  }

 private:
  std::uint32_t draw(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  std::uint32_t batch() {
    constexpr std::uint32_t sizes[] = {1, 2, 8, 16, 31, 32, 33, 64, 100, 128, 200, 256};
    return sizes[draw(0, std::size(sizes) - 1)];
  }
  std::size_t length() { return draw(0, 3) == 0 ? draw(64, 1500) : 64; }

  void generator_only() {
    run_on(static_cast<int>(draw(0, 1)));
    traffic_.set(TrafficKnobs{});
    traffic_.live_frames(Bytes(length(), 0), draw(1000, 12000), batch());
    log_.flush();
  }

  // Live frames into a veth whose other end drops, passes to a socket, sends back, or hands to a cpumap.
  void through_veth(bool threaded) {
    make_veth();
    const Bytes frame = udp_frame(mac_of("pool1"), address(1, 9), address(1, 1), 4000, length());
    traffic_.attach("pool1", "receive");
    traffic_.attach("pool0", "swallow");
    if (threaded) {
      shell("echo 1 > /sys/class/net/pool1/threaded");
    }
    traffic_.set_cpumap(1, draw(0, 1) == 0 ? 16 : 256);
    {
      Reader reader(4000, static_cast<int>(draw(20000, 2000000)), static_cast<int>(draw(0, 1)));
      for (int i = 0; i < 6; ++i) {
        run_on(static_cast<int>(draw(0, 1)));
        reader.pause(draw(0, 1) == 0);
        TrafficKnobs knobs{};
        knobs.mix = draw(0, 1);
        constexpr std::uint32_t verdicts[] = {XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT};
        knobs.verdict = verdicts[draw(0, 3)];
        knobs.redirect_cpu = 1;
        knobs.redirect_ifindex = draw(0, 1) == 0 ? 0 : static_cast<std::uint32_t>(Traffic::index("pool1"));
        knobs.generate_ifindex = static_cast<std::uint32_t>(Traffic::index("pool0"));
        traffic_.set(knobs);
        traffic_.live_frames(frame, draw(500, 6000), batch());
        if (draw(0, 3) == 0) {
          usleep(1200000);  // a destroyed pool whose pages are out looks again every second
        }
        if (draw(0, 2) != 0) {
          reader.drain();
        }
        log_.flush();
      }
      // Copies for a packet socket outlive the datagrams: read when all is quiet, their pages come home from a task
      // with bottom halves enabled.
      Tap tap("pool1");
      TrafficKnobs knobs{};
      knobs.verdict = XDP_PASS;
      knobs.generate_ifindex = static_cast<std::uint32_t>(Traffic::index("pool0"));
      traffic_.set(knobs);
      traffic_.live_frames(frame, draw(100, 500), batch());
      reader.drain();
      tap.drain();
    }
    log_.flush();
    traffic_.clear_cpumap(1);
    traffic_.detach("pool1");
    traffic_.detach("pool0");
    shell("/bin/ip link del pool0");
    usleep(1200000);
    log_.flush();
  }

  // Ordinary packets into a veth with XDP: it copies them into fragments of its own queue's pool.
  void copied_by_veth() {
    make_veth();
    traffic_.attach("pool1", "receive");
    {
      Reader reader(4000, static_cast<int>(draw(20000, 2000000)), static_cast<int>(draw(0, 1)));
      for (int i = 0; i < 6; ++i) {
        run_on(static_cast<int>(draw(0, 1)));
        reader.pause(draw(0, 1) == 0);
        TrafficKnobs knobs{};
        knobs.verdict = draw(0, 2) == 0 ? XDP_DROP : XDP_PASS;
        knobs.mix = draw(0, 2) == 0 ? 1 : 0;
        traffic_.set(knobs);
        const Bytes frame = udp_frame(mac_of("pool1"), address(1, 9), address(1, 1), 4000, draw(60, 1500));
        send("pool0", frame, draw(300, 2000), draw(1, 100));
        reader.drain();
        log_.flush();
      }
    }
    traffic_.detach("pool1");
    shell("/bin/ip link del pool0");
    usleep(1200000);
    log_.flush();
  }

  // Generic XDP copies packets without headroom into the pool that the CPU has since boot; what is freed while that CPU
  // serves a softirq goes straight to its cache.
  void copied_by_generic_xdp() {
    make_veth();
    traffic_.attach("pool1", "receive_pieces", XDP_FLAGS_SKB_MODE);
    {
      Reader reader(4000, static_cast<int>(draw(20000, 2000000)), static_cast<int>(draw(0, 1)));
      for (int i = 0; i < 4; ++i) {
        run_on(static_cast<int>(draw(0, 1)));
        reader.pause(draw(0, 1) == 0);
        TrafficKnobs knobs{};
        knobs.verdict = draw(0, 1) == 0 ? XDP_DROP : XDP_PASS;
        traffic_.set(knobs);
        const Bytes frame = udp_frame(mac_of("pool1"), address(1, 9), address(1, 1), 4000, draw(60, 1500));
        send("pool0", frame, draw(200, 1000), draw(1, 100));
        reader.drain();
        log_.flush();
      }
    }
    traffic_.detach("pool1", XDP_FLAGS_SKB_MODE);
    shell("/bin/ip link del pool0");
    log_.flush();
  }

  // Several generators, each with a pool of its own, fill a ring while the thread that polls it gets no CPU; then it
  // redirects all of it to vmxnet3, whose completions return the frames in bulks that belong to two pools.
  void several_pools_through_vmxnet3() {
    make_veth();
    traffic_.attach("pool1", "receive");
    traffic_.attach("pool0", "swallow");
    traffic_.attach("wire1", "swallow");
    shell("echo 1 > /sys/class/net/pool1/threaded");
    usleep(300000);
    pin_threads("napi/pool1-", 1);
    TrafficKnobs knobs{};
    knobs.verdict = XDP_REDIRECT;
    knobs.redirect_ifindex = static_cast<std::uint32_t>(Traffic::index("wire1"));
    knobs.generate_ifindex = static_cast<std::uint32_t>(Traffic::index("pool0"));
    traffic_.set(knobs);
    const Bytes frame = udp_frame(mac_of("pool1"), address(1, 9), address(1, 1), 4000, 64);
    run_on(0);
    for (int i = 0; i < 3; ++i) {
      const Spinner spinner(1);
      for (int pool = 0; pool < 10; ++pool) {
        traffic_.live_frames(frame, draw(10, 24), 8);
      }
    }
    usleep(200000);
    for (const char* interface : {"pool1", "pool0", "wire1"}) {
      traffic_.detach(interface);
    }
    shell("/bin/ip link del pool0");
    usleep(1200000);
    log_.flush();
  }

  // A driver with a descriptor ring: virtio_net sends, vmxnet3 receives; ring and queues change under it.
  void through_vmxnet3() {
    run_on(0);
    shell("/bin/ip link set wire1 down; /bin/ethtool -G wire1 rx " + std::to_string(64U << draw(0, 2)) +
          "; /bin/ip link set wire1 up");
    traffic_.attach("wire1", "receive");
    usleep(300000);
    {
      Reader reader(4001, static_cast<int>(draw(20000, 2000000)), static_cast<int>(draw(0, 1)));
      traffic_.set_cpumap(1, 64);
      for (int i = 0; i < 5; ++i) {
        reader.pause(draw(0, 1) == 0);
        TrafficKnobs knobs{};
        constexpr std::uint32_t verdicts[] = {XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT};
        knobs.verdict = verdicts[draw(0, 3)];
        knobs.mix = draw(0, 1);
        knobs.redirect_cpu = 1;
        traffic_.set(knobs);
        const Bytes frame = udp_frame(mac_of("wire1"), address(2, 9), address(2, 1), 4001, length());
        send("wire0", frame, draw(300, 1500), draw(8, 200));
        usleep(100000);
        reader.drain();
        log_.flush();
      }
      traffic_.clear_cpumap(1);
    }
    traffic_.detach("wire1");
    usleep(1200000);
    log_.flush();
  }

  // From release 7.1 virtio_net has a pool with a NAPI owner; before, these packets pass no pool.
  void through_virtio() {
    run_on(0);
    Reader reader(4002, static_cast<int>(draw(20000, 2000000)), static_cast<int>(draw(0, 1)));
    for (int i = 0; i < 4; ++i) {
      reader.pause(draw(0, 1) == 0);
      const Bytes frame = udp_frame(mac_of("wire0"), address(3, 9), address(3, 1), 4002, length());
      send("wire1", frame, draw(300, 1500), draw(8, 200));
      usleep(100000);
      reader.drain();
      log_.flush();
    }
  }

  static void make_veth() {
    shell("/bin/ip link add pool0 numtxqueues 2 numrxqueues 2 type veth peer name pool1 numtxqueues 2 numrxqueues 2");
    shell("/bin/ip addr add 198.18.1.1/24 dev pool1; /bin/ip link set pool0 up; /bin/ip link set pool1 up");
  }

  Log& log_;
  Traffic& traffic_;
  std::mt19937 random_;
};

void send_between(const std::string& from, const std::string& to, std::uint32_t packets) {
  constexpr std::uint32_t pause_every = 8;
  send(from, udp_frame(mac_of(to), address(2, 9), address(2, 1), 4001, 64), packets, pause_every);
}

int run(char** arguments) {
  Log log(arguments[1], arguments[3], static_cast<std::uint32_t>(std::stoul(arguments[4])));
  Traffic traffic(arguments[2]);
  shell("/nics");  // loads the NIC drivers, so that their pools are made under the probes' eyes
  shell(
      "/bin/ip link set lo up; /bin/ip addr add 198.18.2.1/24 dev wire1; /bin/ip addr add 198.18.3.1/24 dev wire0; "
      "/bin/ip link set wire0 up; /bin/ip link set wire1 up");
  Phases phases(log, traffic, static_cast<std::uint32_t>(std::stoul(arguments[6])));
  phases.run(std::stoull(arguments[5]));
  log.finish();
  std::printf("agent: done, %llu operations, %u let in beside another CPU's, %llu not seen\n",
              static_cast<unsigned long long>(log.operations()), log.overran(),
              static_cast<unsigned long long>(log.misses()));
  return 0;
}

}  // namespace
}  // namespace rxpool::guest

int main(int count, char** arguments) {
  if (count != 7 && count != 4) {
    std::fprintf(stderr, "agent: PROBES TRAFFIC DISK NODE_SHIFT OPERATIONS SEED, or FROM TO PACKETS\n");
    return 2;
  }
  try {
    if (count == 4) {
      rxpool::guest::send_between(arguments[1], arguments[2], static_cast<std::uint32_t>(std::stoul(arguments[3])));
      return 0;
    }
    return rxpool::guest::run(arguments);
  } catch (const std::exception& error) {
    std::printf("agent: %s\n", error.what());
    return 1;
  }
}
