#pragma once
// struct xdp_frame: a packet that left its driver without becoming an skb, and the way home of its page (XD-1, XD-4).

#include "models/memory/page.hpp"
#include "models/packet.hpp"

namespace rxpool {

class RxPages;

struct XdpFrame {
  Packet packet;
  RxPages* pages = nullptr;  ///< who takes the page back
  PageId page = no_page;     ///< no_page where the frame brought memory of its own (veth)
};

}  // namespace rxpool
