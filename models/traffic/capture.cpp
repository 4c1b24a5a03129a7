#include "models/traffic/capture.hpp"

#include <pcap/pcap.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>

#include "models/traffic/frame_parser.hpp"
#include "models/traffic/headers.hpp"
#include "models/traffic/params.hpp"
#include "sim/error.hpp"

namespace rxpool {

namespace {

/// Names come from the user and go to a terminal: no control characters.
std::string printable(std::string text) {
  for (char& c : text) {
    c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return text;
}

[[noreturn]] void fail(const std::string& path, const std::string& text) {
  throw InputError(printable(path) + ": " + text);
}

[[noreturn]] void fail(const std::string& path, std::size_t frame, const std::string& text) {
  fail(path, "frame " + std::to_string(frame) + ": " + text);
}

/// What a pcapng file says of interfaces, which libpcap does not tell. Nothing of a pcap file, nor of the rare pcapng
/// file of the other byte order.
struct Interfaces {
  int described = 0;
  std::size_t other_frame = 0;  ///< number of the first frame that is not of the first frame's interface; 0: none
};

Interfaces interfaces_of(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  constexpr std::uint32_t section_header = 0x0a0d0d0a;
  constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;
  constexpr std::uint32_t interface_description = 1;
  constexpr std::uint32_t simple_packet = 3;  // of interface 0
  constexpr std::uint32_t enhanced_packet = 6;
  std::array<std::uint32_t, 3> block{};  // type, total length; byte-order magic of a section, interface of a packet
  Interfaces found;
  std::size_t frames = 0;
  std::uint32_t first_interface = 0;
  while (file && std::fread(block.data(), sizeof block, 1, file.get()) == 1) {
    const auto [type, length, third] = block;
    const bool at_start = std::ftell(file.get()) == sizeof block;
    if (at_start && (type != section_header || third != byte_order_magic)) return found;
    if (length < 12 || length % 4 != 0) break;
    found.described += type == interface_description ? 1 : 0;
    if (type == simple_packet || type == enhanced_packet) {
      const std::uint32_t interface = type == simple_packet ? 0 : third;
      if (++frames == 1) first_interface = interface;
      if (interface != first_interface && found.other_frame == 0) found.other_frame = frames;
    }
    if (std::fseek(file.get(), static_cast<long>(length) - static_cast<long>(sizeof block), SEEK_CUR) != 0) break;
  }
  return found;
}

using Handle = std::unique_ptr<pcap_t, void (*)(pcap_t*)>;

Handle open_capture(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    fail(path, std::string(std::strerror(errno)) + ": check the path of the capture");
  }
  if (!S_ISREG(status.st_mode)) {
    fail(path, "not a regular file: give a pcap or pcapng file");
  }
  if (status.st_size == 0) {
    fail(path, "empty file: record the capture again");
  }
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  Handle handle(pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()),
                &pcap_close);
  if (!handle) {
    const bool cut = std::string_view(error.data()).find("truncated") != std::string_view::npos;
    fail(path,
         cut ? "cut off within the file header: copy or record it again"
             : "not a pcap or pcapng capture (" + printable(error.data()) + "): give a capture file, decompressed");
  }
  return handle;
}

/// True if an Ethernet header has to be made up.
bool is_raw_ip(const std::string& path, pcap_t* handle) {
  const int type = pcap_datalink(handle);
  if (type == DLT_EN10MB) {
    return false;
  }
  if (type == DLT_RAW || type == DLT_IPV4 || type == DLT_IPV6) {
    return true;
  }
  const char* name = pcap_datalink_val_to_name(type);
  fail(path, "link type " + (name != nullptr ? std::string(name) : std::to_string(type)) +
                 " is neither Ethernet nor raw IP: record on one Ethernet interface, not on 'any'");
}

class Reader {
 public:
  Reader(const std::string& path, bool cut_frames) : path_(path), cut_frames_(cut_frames), handle_(open_capture(path)) {
    raw_ip_ = is_raw_ip(path, handle_.get());
  }

  Capture read() {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    int status = 0;
    while ((status = pcap_next_ex(handle_.get(), &header, &data)) == 1) {
      ++number_;
      add(*header, data);
    }
    if (status == PCAP_ERROR) {
      broken(pcap_geterr(handle_.get()));
    }
    if (capture_.frames.empty()) {
      fail(path_, "holds no frame: record the capture again");
    }
    if (const std::size_t other = interfaces_of(path_).other_frame; other != 0) {
      // Two links at once would be one wire here, with up to twice its rate.
      fail(path_, other,
           "of another interface than the frames before it: write the frames of one of them to a file of its own "
           "(tshark -Y frame.interface_id==0)");
    }
    return std::move(capture_);
  }

 private:
  [[noreturn]] void broken(std::string_view error) {
    const std::size_t frame = number_ + 1;
    if (error.find("type") != std::string_view::npos && error.find("interface") != std::string_view::npos) {
      fail(path_, frame,
           "several interfaces of different kinds (" + printable(std::string(error)) +
               "): write the frames of one of them to a file of its own");
    }
    if (error.find("truncated") != std::string_view::npos) {
      fail(path_, frame,
           "cut off (" + printable(std::string(error)) + "): copy the file again, or keep the " +
               std::to_string(number_) + " frames before it");
    }
    fail(path_, frame, "unreadable (" + printable(std::string(error)) + "): record the capture again");
  }

  void add(const pcap_pkthdr& header, const u_char* data) {
    const Time at = time_of(header);
    if (header.caplen < header.len && !cut_frames_) {
      fail(path_, number_,
           "only " + std::to_string(header.caplen) + " of " + std::to_string(header.len) +
               " bytes were captured: record with a snapshot length of 0, or set cut_frames");
    }
    std::array<std::uint8_t, Capture::kept_bytes> kept{};
    const std::size_t made_up = raw_ip_ ? ethernet_bytes : 0;
    const std::size_t captured = std::min<std::size_t>(header.caplen, kept.size() - made_up);
    if (captured > 0) {
      std::memcpy(kept.data() + made_up, data, captured);
    }
    if (raw_ip_) {
      make_ethernet(kept);
    }
    const std::size_t length = made_up + captured;
    if (length < ethernet_bytes) {
      fail(path_, number_, std::to_string(length) + " bytes are no Ethernet frame: filter it out");
    }
    const std::size_t frame_bytes = made_up + header.len + fcs_bytes;
    if (frame_bytes > max_frame_bytes) {
      fail(path_, number_,
           std::to_string(frame_bytes) + " bytes are more than a NIC receives at once (" +
               std::to_string(max_frame_bytes) + "): record with GRO, GSO and TSO off");
    }
    const ParsedFrame parsed = parse_frame({kept.data(), length});
    CapturedFrame frame;
    frame.at = at;
    frame.flow = flow_of(parsed.key);
    frame.begins_at = keep({kept.data(), length});
    frame.bytes = static_cast<std::uint16_t>(length);
    frame.frame_bytes = static_cast<std::uint16_t>(std::max<std::size_t>(frame_bytes, min_frame_bytes));
    frame.ip_protocol = parsed.key.protocol;
    frame.fragment = parsed.fragment;
    capture_.frames.push_back(frame);
  }

  /// Since the first frame; the time of day itself does not fit into Time.
  Time time_of(const pcap_pkthdr& header) {
    if (capture_.frames.empty()) {
      first_seconds_ = header.ts.tv_sec;
      first_nanoseconds_ = header.ts.tv_usec;  // nanoseconds, as asked for
    }
    const std::int64_t elapsed_s = header.ts.tv_sec - first_seconds_;
    constexpr std::int64_t longest_s = time_limit() / seconds(1) / 2;
    if (elapsed_s > longest_s) {
      fail(path_, number_,
           std::to_string(elapsed_s) + " s after the first frame, more than the " + std::to_string(longest_s) +
               " that a run can last: cut the capture");
    }
    const Time last = capture_.frames.empty() ? Time{0} : capture_.frames.back().at;
    const Time at = elapsed_s < 0 ? Time{-1} : seconds(elapsed_s) + nanoseconds(header.ts.tv_usec - first_nanoseconds_);
    if (at < last) {
      const int interfaces = interfaces_of(path_).described;
      fail(path_, number_,
           "earlier than the frame before it" +
               (interfaces > 1 ? " (" + std::to_string(interfaces) + " interfaces in one file)" : std::string()) +
               ": sort the capture with reordercap");
    }
    return at;
  }

  static void make_ethernet(std::array<std::uint8_t, Capture::kept_bytes>& frame) {
    frame[0] = 0x02;  // locally administered: 02:00:00:00:00:01 from 02:00:00:01:00:00
    frame[5] = 0x01;
    frame[6] = 0x02;
    frame[9] = 0x01;
    const bool ipv6 = frame[ethernet_bytes] >> 4 == 6;
    frame[12] = ipv6 ? 0x86 : 0x08;
    frame[13] = ipv6 ? 0xdd : 0x00;
  }

  std::uint32_t flow_of(const FlowKey& key) {
    std::array<std::uint8_t, sizeof(FlowKey)> bytes;
    std::memcpy(bytes.data(), &key, sizeof key);
    const auto [at, added] = flows_.try_emplace(bytes, static_cast<std::uint32_t>(capture_.flows.size()));
    if (added) {
      capture_.flows.push_back(key);
    }
    return at->second;
  }

  std::uint32_t keep(std::span<const std::uint8_t> beginning) {
    const std::string text(beginning.begin(), beginning.end());
    const auto [at, added] = beginnings_.try_emplace(text, static_cast<std::uint32_t>(capture_.bytes.size()));
    if (added) {
      if (capture_.bytes.size() > 0xffffffff - beginning.size()) {
        throw InputError(printable(path_) + ": more than 4 GiB of headers: cut the capture", ExitCode::limit);
      }
      capture_.bytes.insert(capture_.bytes.end(), beginning.begin(), beginning.end());
    }
    return at->second;
  }

  std::string path_;
  bool cut_frames_;
  Handle handle_;
  bool raw_ip_ = false;
  std::size_t number_ = 0;  ///< frames read, so the number of the present one, from 1
  std::int64_t first_seconds_ = 0;
  std::int64_t first_nanoseconds_ = 0;
  std::map<std::array<std::uint8_t, sizeof(FlowKey)>, std::uint32_t> flows_;
  std::map<std::string, std::uint32_t> beginnings_;
  Capture capture_;
};

}  // namespace

Capture read_capture(const std::string& path, bool cut_frames) {
  return Reader(path, cut_frames).read();
}

}  // namespace rxpool
