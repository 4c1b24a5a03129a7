#include "frames.hpp"

#include <pcap/pcap.h>

#include <memory>

#include "sim/error.hpp"

namespace rxpool::python {

std::vector<Frame> read_frames(const std::string& path) {
  char error[PCAP_ERRBUF_SIZE] = {};
  const std::unique_ptr<pcap_t, void (*)(pcap_t*)> capture(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error), &pcap_close);
  if (capture == nullptr) {
    throw InputError(path + ": no capture that libpcap reads: " + error);
  }
  if (pcap_datalink(capture.get()) != DLT_EN10MB) {
    const char* name = pcap_datalink_val_to_name(pcap_datalink(capture.get()));
    throw InputError(path + ": link type " + (name == nullptr ? "unknown" : name) +
                     "; a policy runs on Ethernet frames, record it on an Ethernet interface");
  }
  std::vector<Frame> frames;
  pcap_pkthdr* header = nullptr;
  const unsigned char* bytes = nullptr;
  std::int64_t first_ns = 0;
  int status = 0;
  while ((status = pcap_next_ex(capture.get(), &header, &bytes)) == 1) {
    const std::int64_t at_ns = std::int64_t{header->ts.tv_sec} * 1'000'000'000 + header->ts.tv_usec;
    first_ns = frames.empty() ? at_ns : first_ns;
    frames.push_back({at_ns - first_ns, header->len, {bytes, bytes + header->caplen}});
  }
  if (status == PCAP_ERROR) {
    throw InputError(path + ": frame " + std::to_string(frames.size() + 1) + ": " + pcap_geterr(capture.get()));
  }
  if (frames.empty()) {
    throw InputError(path + ": holds no frame");
  }
  return frames;
}

}  // namespace rxpool::python
