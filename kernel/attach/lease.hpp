#pragma once
// The promise that a NIC is made as it was, whatever happens to who uses it. A guardian process waits for a sign of
// life every so often; when the signs stop, or their sender is gone, or says that it is done, it restores the settings.
// If it dies too, the state file tells the next one: it is stale when nobody holds its lock, and worthless when it is
// of an earlier boot. The program on the NIC needs no guardian: it is attached by a link that goes with the process.

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/attach/nic_settings.hpp"

namespace rxpool::attach {

struct Recovery {
  std::vector<std::string> interfaces;  ///< restored from stale state files
  std::vector<std::string> lost;        ///< "interface: what could not be restored"
  std::vector<std::string> in_use;      ///< interfaces that somebody has now
};

/// Restores what dead users of this network namespace left changed.
Recovery recover(const std::string& folder);

class Lease {
 public:
  /// Saves the settings and starts the guardian. Throws std::runtime_error when somebody has the NIC already,
  /// Unavailable when the state cannot be written.
  Lease(const Nic& nic, const std::string& folder, std::int64_t dead_man_ns);
  /// Gives the NIC back.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// A sign of life; throws Unavailable when the guardian is gone.
  void renew();
  const NicSettings& saved() const { return saved_; }
  /// Restores, and returns what could not be; later calls do nothing.
  std::vector<std::string> give_back();

 private:
  [[noreturn]] void guard(int signs, int results, int user) const;

  const Nic& nic_;
  std::string path_;
  std::int64_t dead_man_ns_;
  NicSettings saved_;
  int lock_ = -1;
  int signs_ = -1;    ///< to the guardian
  int results_ = -1;  ///< from it
  int guardian_ = -1;
  bool over_ = false;
};

}  // namespace rxpool::attach
