#pragma once
// The two kinds of error (design: exit codes). InputError: the user's scenario, file, argument or policy is wrong; the
// text is one line that names the file, the place and the remedy. BugError: an invariant of rxpool itself broke.
// Both are thrown before time starts or after it stopped, never inside the event loop.

#include <stdexcept>
#include <string>

namespace rxpool {

/// Process exit codes of the `rxpool` command.
enum class ExitCode : int {
  done = 0,
  difference = 1,
  bad_input = 2,
  not_available = 3,
  policy_rejected = 4,
  limit = 5,
  internal = 6,
  interrupted = 130,
};

class InputError : public std::runtime_error {
 public:
  explicit InputError(const std::string& what, ExitCode code = ExitCode::bad_input)
      : std::runtime_error(what), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

class BugError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Checks an invariant of ours; cheap enough to stay on in release builds (style: habit 7).
inline void ensure(bool holds, const char* what) {
  if (!holds) [[unlikely]] {
    throw BugError(what);
  }
}

}  // namespace rxpool
