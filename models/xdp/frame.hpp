#pragma once
// struct xdp_frame: a packet that left its driver without becoming an skb, and the way home of its page (XD-1, XD-4).

#include <cstdint>

#include "models/memory/page.hpp"
#include "models/packet.hpp"
#include "models/xdp/kept_frames.hpp"

namespace rxpool {

class RxPages;

struct XdpFrame {
  Packet packet;
  RxPages* pages = nullptr;  ///< who takes the page back
  PageId page = no_page;     ///< no_page where the frame brought memory of its own (veth, copies of a broadcast)
  bool copy = false;         ///< of a broadcast: the packet itself ends elsewhere
  bool met_egress = false;   ///< an egress program has said where it goes
  std::uint32_t kept = KeptFrames::none;  ///< its bytes, for the program of a devmap entry
};

}  // namespace rxpool
