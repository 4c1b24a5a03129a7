#pragma once
// Time and order. The engine fires the pending event with the smallest (time, class, component id). Components run
// ahead of `now` by themselves as far as nothing else can touch what they touch; the engine tells them how far:
//
//   group 0        sampler, control, timed changes: nobody passes them
//   group 1..n     components that share state or can wake one another (connected components, found by the host)
//
// A component alone in its group may run ahead to the next event of group 0 or to the end of the window; inside a
// larger group every step waits until it is the earliest of its group. What is shared by all groups (a zone, a link)
// is touched only by whoever is earliest of all.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/event.hpp"
#include "sim/time.hpp"
#include "sim/winner_tree.hpp"

namespace rxpool {

class Engine {
 public:
  static constexpr std::uint32_t everybody = 0;  ///< group of sampler, control and timed changes

  /// Registers an event before seal(). Group numbers may have gaps.
  void add(Event& event, std::string component, std::uint32_t group, void* owner, Event::Handler handler);
  /// Ranks the component names and builds the trees; names must be unique.
  void seal();

  void arm(Event& event, Time at, EventClass event_class);
  void cancel(Event& event) { set_key(event, never_key()); }
  Time armed_at(const Event& event) const { return key_time(groups_[event.group_].key(event.leaf_)); }

  Time now() const { return now_; }
  Time end() const { return end_; }

  /// True if a step of the firing event at (at, class) precedes everything pending in its own group and in group 0, and
  /// lies inside the window and before the end.
  bool may_run(const Event& event, Time at, EventClass event_class) const {
    if (at < free_until_) return true;
    const EventKey key = make_key(at, event_class, event.id_);
    return at <= window_end_ && key < everybodys_ && key < others_;
  }
  /// The same for a step that the rest of its group can influence only by what takes `lookahead` to arrive.
  bool may_run_ahead(const Event& event, Time at, EventClass event_class, Time lookahead) const {
    if (at < free_until_) return true;
    if (at > window_end_ || make_key(at, event_class, event.id_) >= everybodys_) return false;
    return others_ == never_key() || at < key_time(others_) + lookahead;
  }
  /// Until when (inclusive) such steps surely may begin without asking; perhaps before `at`.
  Time ahead_limit(Time lookahead) const {
    const Time others = others_ == never_key() ? Time::never() : key_time(others_) + lookahead;
    return std::min(window_end_, std::min(key_time(everybodys_), others) - picoseconds(1));
  }
  /// True if it precedes everything pending anywhere: then it may touch what all groups share.
  bool is_earliest(const Event& event, Time at, EventClass event_class) const {
    const EventKey key = make_key(at, event_class, event.id_);
    return key < groups_[event.group_].earliest_other(event.leaf_) && key < groups_of_.earliest_other(event.group_);
  }
  /// Last instant (inclusive) to which a component alone in its group may run ahead.
  Time private_horizon() const {
    const Time global = key_time(everybodys_);
    return global < window_end_ ? global : window_end_;
  }
  bool alone(const Event& event) const { return members_[event.group_] == 1; }
  /// The component whose handler is running tells how far it has come; group_front() needs it.
  void set_running_at(Time at) { running_at_ = at; }
  /// Earliest instant at which anything in the group of `event` may still act, the event itself included.
  Time group_front(const Event& event) const {
    const WinnerTree& tree = groups_[event.group_];
    if (firing_ == nullptr || firing_->group_ != event.group_) return key_time(tree.winner_key());
    const Time others = key_time(tree.earliest_other(firing_->leaf_));
    return others < running_at_ ? others : running_at_;
  }

  /// Earliest instant at which anything may still act that the group of `event` can notice: its own members, and group
  /// 0, which may wake them. What the group does, it does not do before. Before the run, when not everything is armed
  /// yet, that is now.
  Time front_of_influence(const Event& event) const {
    if (firing_ == nullptr) return now_;
    const bool everybodys = firing_ != nullptr && firing_->group_ == everybody;
    const Time others = everybodys ? now_ : key_time(groups_[everybody].winner_key());
    const Time group = group_front(event);
    return group < others ? group : others;
  }

  /// How far beyond the fired event a component may run ahead; never changes a result (a test varies it).
  void set_window(Time window) { window_ = window; }

  enum class Status { finished, cancelled };
  /// Fires all events up to and including `until`. `keep_going` is asked every few events; false cancels.
  Status run(Time until, const std::function<bool(Time)>& keep_going);

  std::uint64_t fired() const { return fired_; }

 private:
  void set_key(Event& event, EventKey key);
  void find_rivals();

  struct Registration {
    Event* event;
    std::string component;
  };
  std::vector<Registration> registrations_;
  std::vector<WinnerTree> groups_;
  std::vector<std::vector<Event*>> events_;  // [group][leaf]
  std::vector<std::uint32_t> members_;
  WinnerTree groups_of_;  // one leaf per group: its winner's key
  const Event* firing_ = nullptr;
  Time now_{0};
  Time running_at_{0};
  Time end_ = time_limit();
  Time window_ = microseconds(100);
  Time window_end_{0};
  // What the firing event's steps are compared with, so that none of them has to look at the trees. Between two events
  // everything pending is a rival.
  EventKey everybodys_ = never_key();  ///< earliest key of group 0
  EventKey others_ = never_key();      ///< of the rest of its own group
  Time free_until_{0};                 ///< before this instant it precedes both and is inside the window
  std::uint64_t fired_ = 0;
};

inline void Engine::find_rivals() {
  const bool everybodys = firing_ != nullptr && firing_->group_ == everybody;
  const WinnerTree& global = groups_[everybody];
  everybodys_ = everybodys ? global.earliest_other(firing_->leaf_) : global.winner_key();
  others_ = everybodys || firing_ == nullptr ? never_key() : groups_[firing_->group_].earliest_other(firing_->leaf_);
  const EventKey first = others_ < everybodys_ ? others_ : everybodys_;
  free_until_ = std::min(window_end_, key_time(first));
}

inline void Engine::set_key(Event& event, EventKey key) {
  WinnerTree& tree = groups_[event.group_];
  tree.set_key_only(event.leaf_, key);
  if (&event == firing_) return;  // run() updates the path once, after the handler
  tree.update(event.leaf_);
  groups_of_.set_key_only(event.group_, tree.winner_key());
  groups_of_.update(event.group_);
  find_rivals();
}

inline void Engine::arm(Event& event, Time at, EventClass event_class) {
  set_key(event, at == Time::never() ? never_key() : make_key(at, event_class, event.id_));
}

}  // namespace rxpool
