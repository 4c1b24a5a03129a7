// The FIFO part of the receive path in ns-3: 64-byte packets at 14.88 Mpps (Poisson) into a FIFO of 512 served at 10
// Mpps. `queue`: a DropTailQueue and one event per departure; `device`: a point-to-point device of that rate with that
// queue and its peer, which counts. A peer for benchmarks/run, which compiles it against Debian's libns3-dev.
//   fifo_ns3 queue|device PACKETS

#include <ns3/core-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace {

using namespace ns3;

constexpr std::uint32_t frame_bytes = 64;
constexpr std::uint32_t ppp_bytes = 2;  // the device adds them

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class Fifo {
 public:
  Fifo(bool device, std::uint64_t packets) : packets_(packets) {
    gap_ = CreateObject<ExponentialRandomVariable>();
    gap_->SetAttribute("Mean", DoubleValue(1e9 / 14'880'952));
    queue_ = CreateObject<DropTailQueue<Packet>>();
    queue_->SetMaxSize(QueueSize("512p"));
    if (!device) return;
    sender_ = CreateObject<PointToPointNetDevice>();
    Ptr<PointToPointNetDevice> receiver = CreateObject<PointToPointNetDevice>();
    Ptr<PointToPointChannel> channel = CreateObject<PointToPointChannel>();
    for (const Ptr<PointToPointNetDevice>& end : {sender_, receiver}) {
      Ptr<Node> node = CreateObject<Node>();
      node->AddDevice(end);
      end->SetAddress(Mac48Address::Allocate());
      end->SetDataRate(DataRate("5120Mbps"));  // 64 bytes in 100 ns
      end->SetQueue(end == sender_ ? queue_ : CreateObject<DropTailQueue<Packet>>());
      end->Attach(channel);
    }
    receiver->SetReceiveCallback(MakeCallback(&Fifo::received, this));
  }

  void arrive() {
    if (sender_) {
      sender_->Send(Create<Packet>(frame_bytes - ppp_bytes), sender_->GetBroadcast(), 0x0800);
    } else if (queue_->Enqueue(Create<Packet>(frame_bytes)) && !busy_) {
      serve();
    }
    if (++offered_ < packets_)
      Simulator::Schedule(PicoSeconds(static_cast<std::int64_t>(1000 * gap_->GetValue())), &Fifo::arrive, this);
  }
  std::uint64_t offered() const { return offered_; }
  std::uint64_t served() const { return served_; }

 private:
  void serve() {
    Ptr<Packet> packet = queue_->Dequeue();
    busy_ = packet != nullptr;
    if (!busy_) return;
    ++served_;
    Simulator::Schedule(NanoSeconds(100), &Fifo::serve, this);
  }
  bool received(Ptr<NetDevice>, Ptr<const Packet>, std::uint16_t, const Address&) {
    ++served_;
    return true;
  }

  std::uint64_t packets_;
  std::uint64_t offered_ = 0;
  std::uint64_t served_ = 0;
  bool busy_ = false;
  Ptr<ExponentialRandomVariable> gap_;
  Ptr<DropTailQueue<Packet>> queue_;
  Ptr<PointToPointNetDevice> sender_;
};

}  // namespace

int main(int argc, char** argv) {
  const bool device = argc > 1 && std::string(argv[1]) == "device";
  const std::uint64_t packets = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  Time::SetResolution(Time::PS);
  Fifo fifo(device, packets);
  Simulator::ScheduleNow(&Fifo::arrive, &fifo);
  const double before = cpu_seconds();
  Simulator::Run();
  const double seconds = cpu_seconds() - before;
  Simulator::Destroy();
  std::printf("offered=%llu served=%llu cpu_s=%.3f offered_Mpps=%.3f\n",
              static_cast<unsigned long long>(fifo.offered()), static_cast<unsigned long long>(fifo.served()), seconds,
              static_cast<double>(fifo.offered()) / seconds * 1e-6);
}
