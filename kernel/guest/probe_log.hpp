#pragma once
// Loads the probes and carries their records to a disk.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/guest/frames.hpp"
#include "kernel/guest/pool_log.h"

namespace rxpool::guest {

class Log {
 public:
  Log(const std::string& object, const std::string& disk, std::uint32_t node_shift) {
    object_ = bpf_object__open_file(object.c_str(), nullptr);
    if (object_ == nullptr) {
      fail(object);
    }
    bpf_map* ring = bpf_object__find_map_by_name(object_, "pool_log");
    check(bpf_map__set_max_entries(ring, 256U << 20), "ring buffer size");
    bpf_map* constants = map_ending(".rodata");
    const PoolLogConstants values{static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)), node_shift};
    std::size_t size = 0;
    auto* area = static_cast<char*>(const_cast<void*>(bpf_map__initial_value(constants, &size)));
    std::memcpy(area, &values, sizeof(values));
    check(bpf_object__load(object_), "loading the probes");
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_) {
      if (bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL) {
        continue;
      }
      if (bpf_program__attach(program) == nullptr) {
        fail(std::string("attaching ") + bpf_program__name(program));
      }
      programs_.push_back(bpf_program__fd(program));
    }
    disk_ = check(open(disk.c_str(), O_WRONLY), disk);
    buffer_ = ring_buffer__new(bpf_map__fd(ring), sample, this, nullptr);
    variables_ = bpf_map__fd(map_ending(".bss"));
    open_calls_ = bpf_map__fd(bpf_object__find_map_by_name(object_, "open_calls"));
    arm();
    program = bpf_object__find_program_by_name(object_, "introduce");
    if (program != nullptr) {
      bpf_test_run_opts options{};
      options.sz = sizeof(options);
      check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "introducing the CPUs' own pools");
    }
  }

  /// Empties the ring buffer on the disk; to be called while nothing moves.
  void flush() {
    check(ring_buffer__consume(buffer_), "reading the ring buffer");
    write_out();
    std::uint64_t misses = 0;
    for (const int fd : programs_) {
      bpf_prog_info info{};
      std::uint32_t size = sizeof(info);
      check(bpf_obj_get_info_by_fd(fd, &info, &size), "program information");
      misses += info.recursion_misses;
    }
    const auto state = read_state();
    if (state.lost != 0) {
      throw std::runtime_error("log incomplete: " + std::to_string(state.lost) + " records lost");
    }
    if (misses != misses_) {
      mark_gap(state.next_seq);
    }
    misses_ = misses;
    flushed_seq_ = state.next_seq;
  }
  std::uint64_t operations() const { return operations_; }
  std::uint32_t overran() { return read_state().overran; }
  /// Calls that interrupted a probe while it ran, and so were not probed.
  std::uint64_t misses() const { return misses_; }
  /// Fills the last block and closes.
  void finish() {
    pending_.resize((pending_.size() + 4095) / 4096 * 4096, 0);
    const Bytes end(1U << 20, 0);
    pending_.insert(pending_.end(), end.begin(), end.end());
    write_out();
    fsync(disk_);
    close(disk_);
  }

 private:
  bpf_map* map_ending(const std::string& ending) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_) {
      const std::string name = bpf_map__name(map);
      if (name.ends_with(ending)) {
        return map;
      }
    }
    throw std::runtime_error("the probes have no " + ending);
  }
  PoolLogState read_state() {
    const std::uint32_t zero = 0;
    PoolLogState state{};
    check(bpf_map_lookup_elem(variables_, &zero, &state), "reading the probes' counters");
    return state;
  }
  // A call whose end was not seen would stay open, and swallow what follows in its context.
  void mark_gap(std::uint64_t next_seq) {
    PoolLogHeader gap{};
    gap.size = sizeof(gap);
    gap.kind = POOL_LOG_GAP;
    gap.enter_seq = flushed_seq_;
    gap.exit_seq = next_seq - 1;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&gap);
    pending_.insert(pending_.end(), bytes, bytes + sizeof(gap));
    std::uint64_t key = 0;
    while (bpf_map_get_next_key(open_calls_, nullptr, &key) == 0) {
      check(bpf_map_delete_elem(open_calls_, &key), "closing a call");
    }
    std::size_t size = 0;
    auto* live = const_cast<void*>(bpf_map__initial_value(map_ending(".bss"), &size));
    static_cast<PoolLogState*>(live)->owner = 0;
  }
  void arm() {
    const std::uint32_t zero = 0;
    PoolLogState state{};
    state.armed = 1;
    check(bpf_map_update_elem(variables_, &zero, &state, 0), "arming the probes");
  }
  static int sample(void* self, void* data, std::size_t) {
    auto& log = *static_cast<Log*>(self);
    const auto* header = static_cast<const PoolLogHeader*>(data);
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    log.pending_.insert(log.pending_.end(), bytes, bytes + header->size);
    log.operations_ += header->kind != POOL_LOG_HOLD && header->kind != POOL_LOG_RELEASE ? 1 : 0;
    if (log.pending_.size() > 8U << 20) {
      log.write_out();
    }
    return 0;
  }
  void write_out() {
    std::size_t at = 0;
    while (at < pending_.size()) {
      const ssize_t wrote = write(disk_, pending_.data() + at, pending_.size() - at);
      if (wrote <= 0) {
        fail("writing the log");
      }
      at += static_cast<std::size_t>(wrote);
    }
    pending_.clear();
  }

  bpf_object* object_ = nullptr;
  ring_buffer* buffer_ = nullptr;
  std::vector<int> programs_;
  Bytes pending_;
  std::uint64_t operations_ = 0;
  int disk_ = -1;
  int variables_ = -1;
  int open_calls_ = -1;
  std::uint64_t misses_ = 0;
  std::uint64_t flushed_seq_ = 0;  ///< numbers below it were given before the last flush
};

}  // namespace rxpool::guest
