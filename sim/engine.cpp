#include "sim/engine.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace rxpool {

void Engine::add(Event& event, std::string component, std::uint32_t group, void* owner, Event::Handler handler) {
  ensure(groups_.empty(), "engine: add() after seal()");
  event.owner_ = owner;
  event.handler_ = handler;
  event.group_ = group;
  registrations_.push_back({&event, std::move(component)});
}

void Engine::seal() {
  std::sort(registrations_.begin(), registrations_.end(),
            [](const Registration& a, const Registration& b) { return a.component < b.component; });
  std::uint32_t groups = 1;
  for (std::size_t i = 0; i < registrations_.size(); ++i) {
    ensure(i == 0 || registrations_[i - 1].component != registrations_[i].component,
           "engine: two components of one name");
    registrations_[i].event->id_ = static_cast<std::uint32_t>(i);
    groups = std::max(groups, registrations_[i].event->group_ + 1);
  }
  events_.resize(groups);
  for (Registration& registration : registrations_) {
    std::vector<Event*>& members = events_[registration.event->group_];
    registration.event->leaf_ = static_cast<std::uint32_t>(members.size());
    members.push_back(registration.event);
  }
  for (const std::vector<Event*>& members : events_) {
    members_.push_back(static_cast<std::uint32_t>(members.size()));
    groups_.emplace_back(members.size());
  }
  groups_of_ = WinnerTree(groups);
}

Engine::Status Engine::run(Time until, const std::function<bool(Time)>& keep_going) {
  end_ = until;
  constexpr std::uint32_t events_between_questions = 256;
  std::uint32_t countdown = events_between_questions;
  while (true) {
    const std::uint32_t group = groups_of_.winner();
    const EventKey key = groups_of_.winner_key();
    const Time at = key_time(key);
    if (at > until) break;
    ensure(at >= now_, "engine: time ran backwards");
    now_ = at;
    window_end_ = std::min(at + window_, until);
    WinnerTree& tree = groups_[group];
    const std::uint32_t leaf = tree.winner();
    Event* event = events_[group][leaf];
    tree.set_key_only(leaf, never_key());
    firing_ = event;
    running_at_ = at;
    find_rivals();
    event->handler_(event->owner_, at);
    firing_ = nullptr;
    tree.update(leaf);
    groups_of_.set_key_only(group, tree.winner_key());
    groups_of_.update(group);
    ++fired_;
    if (--countdown == 0) {
      countdown = events_between_questions;
      if (keep_going && !keep_going(at)) return Status::cancelled;
    }
  }
  find_rivals();
  return Status::finished;
}

}  // namespace rxpool
