#include "tests/oracles/reference_stack.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/traffic/flow.hpp"
#include "sim/distribution.hpp"

namespace rxpool::reference {

// ---- Freeing.

Job DeferList::flush(Cpu& cpu) {
  co_await cpu.step(EventClass::poll);
  std::size_t left = visible(cpu.clock);
  if (left != 0) count = 0;
  while (left != 0) {
    const SkbPtr skb = skbs.front();
    skbs.pop_front();
    Frees::free(cpu, *skb);
    if (--left != 0) co_await cpu.step(EventClass::poll);
  }
}

std::size_t DeferList::visible(Time now) const {
  std::size_t n = 0;
  while (n < skbs.size() && skbs[n]->visible <= now) ++n;
  return n;
}

void Frees::add(Cpu& cpu) {
  lists_.push_back(std::make_unique<DeferList>());
  cpu.deferred = lists_.back().get();
}

void Frees::free(Cpu& cpu, const Skb& skb) {
  MemoryContext context = cpu.context_now(true);
  skb.buffers->put(context, skb.page);
  cpu.charge(Step::skb_free);
  cpu.charge(context.cost);
}

void Frees::attempt_defer(Cpu& cpu, const SkbPtr& skb) {
  if (skb->allocated_on == &cpu || defer_max_ == 0) {
    free(cpu, *skb);
    return;
  }
  DeferList& list = *lists_[skb->allocated_on->number()];
  ++list.count;
  if (list.count >= defer_max_) {
    ++rejected;
    free(cpu, *skb);
    return;
  }
  ++deferred;
  cpu.charge(Step::skb_defer_push);
  skb->visible = cpu.clock;
  list.skbs.push_back(skb);
  if (list.count == defer_max_ / 2 + 1) skb->allocated_on->raise_net_rx_from_elsewhere(cpu.clock);
}

// ---- Socket.

std::optional<Fate> Socket::refuses(std::uint32_t truesize) const {
  if (counts_new_packet ? rmem != 0 && rmem + truesize > rcvbuf : rmem > rcvbuf) return Fate::socket_rcvbuff;
  const std::uint64_t needed = (charged + truesize + 4095) / 4096;
  if (needed <= pages) return std::nullopt;
  const std::uint64_t all = memory->pages + needed - pages;
  if (cgroup != nullptr && cgroup->pages + needed - pages > cgroup->max_pages) return Fate::proto_mem;
  const bool nearly_empty = rmem + truesize < 4096;
  if (all > memory->least && (all > memory->most || !nearly_empty)) return Fate::proto_mem;
  return std::nullopt;
}

void Socket::push(SkbPtr skb, Time visible) {
  skb->visible = visible;
  rmem += skb->truesize;
  charged += skb->truesize;
  const std::uint64_t needed = (charged + 4095) / 4096;
  if (!tcp && needed > pages) {
    memory->pages += needed - pages;
    if (cgroup != nullptr) cgroup->pages += needed - pages;
    pages = needed;
  }
  queue.push_back(std::move(skb));
}

SkbPtr Socket::pop() {
  if (tcp) {
    SkbPtr oldest = queue.front();
    queue.pop_front();
    return oldest;
  }
  if (reader_queue == 0) reader_queue = queue.size();
  SkbPtr skb = queue.front();
  queue.pop_front();
  --reader_queue;
  given_back_later += skb->truesize;
  if (reader_queue == 0 || given_back_later >= rcvbuf / 4) {
    charged -= given_back_later;
    rmem -= std::exchange(given_back_later, 0);
    // All whole pages but the last byte's.
    const std::uint64_t spare = (pages * 4096 - charged - 1) / 4096;
    pages -= spare;
    memory->pages -= spare;
    if (cgroup != nullptr) cgroup->pages -= spare;
  }
  return skb;
}

namespace {

void send_acks(Cpu& cpu, Socket::Endpoint& endpoint) {
  for (std::uint32_t i = 0; i < endpoint.connection.acks_due(); ++i) {
    cpu.charge(Step::tcp_ack);
    endpoint.peer->acknowledge(cpu.clock, endpoint.connection.ack(i));
  }
  endpoint.connection.acks_sent();
}

}  // namespace

TcpConnection::Arrival Socket::receive_segment(Cpu& cpu, const SkbPtr& skb) {
  const TcpSegment segment = TcpSegment::unpacked(skb->packet.variant);
  Endpoint& endpoint = connections.at(segment.connection);
  const TcpConnection::Arrival arrival = endpoint.connection.receive(cpu.clock, segment, skb->truesize);
  send_acks(cpu, endpoint);
  if (arrival == TcpConnection::Arrival::beyond) waiting[{segment.connection, segment.number}] = skb;
  if (arrival != TcpConnection::Arrival::in_order) return arrival;
  skb->visible = cpu.clock;
  queue.push_back(skb);
  for (std::uint64_t number = segment.number + 1; number < endpoint.connection.next(); ++number) {
    const auto next = waiting.find({segment.connection, number});
    next->second->visible = cpu.clock;
    queue.push_back(next->second);
    waiting.erase(next);
  }
  return arrival;
}

void Socket::copied(Cpu& cpu, const Skb& skb) {
  Endpoint& endpoint = connections.at(TcpSegment::unpacked(skb.packet.variant).connection);
  endpoint.connection.read(cpu.clock, skb.truesize);
  send_acks(cpu, endpoint);
}

// ---- Reader.

Reader::Reader(const scenario::ReaderParams& params, RandomStream service, Socket& socket, Frees& frees,
               Journal& journal)
    : Process(Context::application),
      params_(params),
      service_(service),
      socket_(socket),
      frees_(frees),
      journal_(journal),
      paused_(params.paused) {
  nice = params.nice;
  if (params.rate_pps > 0) interval_ = Time{std::llround(1e12 / params.rate_pps)};
}

void Reader::start(Cpu& cpu) {
  cpu.add(*this);
  alarm_.at = Time{0};
  cpu.attach(alarm_);
}

void Reader::Alarm::take(Cpu& cpu) {
  at = Time::never();
  cpu.enter_hardirq(Step::hardirq);
  cpu.wake(reader);
  cpu.leave_hardirq();
}

Time paused_until(const scenario::WorkParams& work, bool paused, Time now) {
  if (paused) return Time::never();
  Time at{0};
  for (const auto& [when, pause] : work.pauses) {
    const Time begin = time_from_ms(pause.at_ms);
    if (now < begin) continue;
    Time into = now - begin;
    if (pause.every_ms > 0) into = into % time_from_ms(pause.every_ms);
    if (into < time_from_ms(pause.for_ms)) at = std::max(at, now - into + time_from_ms(pause.for_ms));
  }
  return at;
}

Time service_time(const scenario::WorkParams& work, RandomStream& stream) {
  const Time mean = time_from_ns(work.service_ns);
  return work.service_law == scenario::ServiceLaw::exponential ? ExponentialTime(mean)(stream) : mean;
}

Time Reader::may_read_at(Time now) const {
  return std::max(next_read_, paused_until(params_, paused_, now));
}

void Reader::sleep_until(Time at) {
  alarm_.at = at;
  sleeps = true;
}

void Reader::set_paused(bool paused, Time now) {
  paused_ = paused;
  if (!paused) home->wake_from_elsewhere(*this, now);
}

/// recvmsg begins, unless it has to wait: then until when.
Time Reader::enter_call(Cpu& cpu) {
  const Time at = may_read_at(cpu.clock);
  if (at > cpu.clock) return at;
  received_ = 0;
  cpu.charge(Step::syscall_entry);
  next_ = Next::receive;
  return Time{0};
}

void Reader::wait_for_packet(Cpu& cpu) {
  if (napi_ != nullptr && !has_polled_) {
    deadline_ = cpu.clock + time_from_us(params_.busy_poll.us);
    next_ = Next::busy_poll;
    return;
  }
  has_polled_ = false;
  if (!socket_.queue.empty()) {
    sleep_until(socket_.queue.front()->visible);
  } else {
    waits_for_packet = true;
    sleeps = true;
  }
}

/// One turn of sk_busy_loop.
Job Reader::busy_poll(Cpu& cpu) {
  const auto readable = [&] { return !socket_.queue.empty() && socket_.queue.front()->visible <= cpu.clock; };
  cpu.bottom_halves_disabled = true;
  if (!owns_ && !napi_->scheduled) owns_ = napi_->scheduled = napi_->in_busy_poll = true;
  if (owns_) {
    napi_->budget = params_.busy_poll.budget;
    co_await napi_->poll(cpu);
    napi_->budget = 64;
    busy_polled += napi_->packets;
  } else {
    cpu.charge(Step::llc_hit);
  }
  co_await cpu.deferred->flush(cpu);
  const bool over = readable() || cpu.clock >= deadline_;
  if (owns_ && (over || cpu.would_switch())) {
    napi_->missed = napi_->in_busy_poll = false;
    const bool timer = params_.busy_poll.prefer && napi_->defer_interrupts(cpu);
    napi_->budget = params_.busy_poll.budget;
    co_await napi_->poll(cpu);
    napi_->budget = 64;
    busy_polled += napi_->packets;
    owns_ = false;
    if (napi_->work >= params_.busy_poll.budget) {
      napi_->scheduled = false;
      if (!timer) cpu.schedule(*napi_);
    }
  }
  if (!over) co_return;
  if (params_.busy_poll.prefer && !readable()) napi_->resume_interrupts(cpu);
  has_polled_ = true;
  next_ = Next::receive;
}

Job Reader::unit(Cpu& cpu) {
  switch (next_) {
    case Next::call: {
      const Time at = enter_call(cpu);
      if (at > cpu.clock) sleep_until(at);
      break;
    }
    case Next::receive:
      if (socket_.queue.empty() || socket_.queue.front()->visible > cpu.clock) {
        if (received_ != 0) {
          next_ = Next::call;
        } else {
          wait_for_packet(cpu);
        }
        break;
      }
      in_hand = socket_.pop();
      has_polled_ = false;
      if (const auto found = napis.find(in_hand->buffers); found != napis.end()) {
        napi_ = found->second;
        if (params_.busy_poll.prefer) napi_->suspend_interrupts(cpu);
      }
      leaks_ = leak && cpu.clock >= time_from_ms(leak->start_ms) && leak_draws->next_unit() < leak->share;
      cpu.charge(Step::socket_dequeue);
      cpu.charge(cpu.price(Step::copy_to_user) +
                 Time{cpu.price_per_byte(Step::copy_to_user) * in_hand->packet.frame_bytes});
      journal_.ended(in_hand->packet, Fate::delivered, cpu.clock);
      if (socket_.tcp) socket_.copied(cpu, *in_hand);
      next_ = Next::free;
      break;
    case Next::busy_poll:
      co_await busy_poll(cpu);
      break;
    case Next::free:
      if (leaks_) {
        leaked.push_back(in_hand);
      } else {
        frees_.attempt_defer(cpu, in_hand);
      }
      in_hand.reset();
      cpu.charge(service_time(params_, service_));
      if (interval_.ps != 0) next_read_ = std::max(next_read_ + interval_, cpu.clock);
      ++received_;
      next_ = Next::receive;
      if (received_ == params_.batch) {
        next_ = Next::call;
        enter_call(cpu);
      }
      break;
  }
  co_return;
}

// ---- Stack.

namespace {

void wake_reader(Cpu& cpu, Socket& socket) {
  Reader& reader = *socket.reader;
  if (!std::exchange(reader.waits_for_packet, false)) return;
  cpu.charge(Step::socket_wakeup);
  if (reader.home == &cpu) {
    cpu.wake(reader);
  } else {
    reader.home->wake_from_elsewhere(reader, cpu.clock);
  }
}

bool matches(const scenario::DropRuleParams& rule, const Packet& packet) {
  const bool protocol_matches =
      rule.protocol == scenario::RuleProtocol::any ||
      packet.ip_protocol == (rule.protocol == scenario::RuleProtocol::tcp ? protocol_tcp : protocol_udp);
  return protocol_matches && (rule.dst_port == 0 || rule.dst_port == packet.destination_port);
}

}  // namespace

void Stack::receive(Cpu& cpu, const SkbPtr& skb, const scenario::NetfilterParams& rules) {
  const Packet& packet = skb->packet;
  const auto drop = [&](Fate fate) {
    journal_.ended(packet, fate, cpu.clock);
    Frees::free(cpu, *skb);
  };
  Socket* socket = nullptr;
  for (const auto& candidate : sockets_) {
    const bool mine = candidate->tcp ? (packet.flags & packet_flag::segment) != 0 : packet.ip_protocol == protocol_udp;
    if (socket == nullptr && mine && candidate->port == packet.destination_port) socket = candidate.get();
  }
  std::optional<Fate> refused;
  if (socket != nullptr && !socket->tcp) refused = socket->refuses(skb->truesize);

  cpu.charge(Step::netif_receive);
  if (rules.raw_drop.enabled) {
    cpu.charge(Step::netfilter_raw);
    if (matches(rules.raw_drop, packet)) return drop(Fate::netfilter_drop);
  }
  if (rules.conntrack) cpu.charge(Step::conntrack);
  cpu.charge(Step::fib_input);
  if (rules.filter || rules.filter_drop.enabled) cpu.charge(Step::netfilter_filter, rules.filter_rules);
  if (rules.filter_drop.enabled && matches(rules.filter_drop, packet)) return drop(Fate::netfilter_drop);
  if (packet.ip_protocol != protocol_udp && packet.ip_protocol != protocol_tcp) return drop(Fate::unhandled_proto);
  if (socket != nullptr && socket->tcp) {
    cpu.charge(Step::tcp_receive);
    cpu.charge(Step::socket_enqueue);
    switch (socket->receive_segment(cpu, skb)) {
      case TcpConnection::Arrival::in_order:
        return wake_reader(cpu, *socket);
      case TcpConnection::Arrival::beyond:
        return;
      case TcpConnection::Arrival::old:
        return drop(Fate::tcp_old_data);
      case TcpConnection::Arrival::no_buffer:
        return drop(Fate::socket_rcvbuff);
      case TcpConnection::Arrival::no_tcp_memory:
        return drop(Fate::proto_mem);
    }
  }
  cpu.charge(Step::udp_receive);
  if (socket == nullptr) {
    cpu.charge(Step::udp_no_port);
    return drop(Fate::no_socket);
  }
  cpu.charge(Step::socket_enqueue);
  if (refused) return drop(*refused);
  Reader& reader = *socket->reader;
  const bool wakes = std::exchange(reader.waits_for_packet, false);
  if (wakes) cpu.charge(Step::socket_wakeup);
  socket->push(skb, cpu.clock);
  if (!wakes) return;
  if (reader.home == &cpu) {
    cpu.wake(reader);
  } else {
    reader.home->wake_from_elsewhere(reader, cpu.clock);
  }
}

}  // namespace rxpool::reference
