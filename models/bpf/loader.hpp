#pragma once
// Turns the bytes of a libbpf-style object into an Object: BTF-defined maps (with inner maps and initial values), data
// sections, programs with the subprograms they call, relocations, kfunc imports, CO-RE records and source lines. Our
// own parser does all of it on bounds-checked views; libbpf then reads the same bytes in a child process with limits
// (loader_child.hpp) and has to see the same maps and programs. Left out: legacy "maps" sections, .kconfig externs,
// addresses in data sections, struct_ops; each is refused by name.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "models/bpf/object.hpp"

namespace rxpool::bpf {

struct LoadOptions {
  /// Which kernel functions exist here; a weak one that does not resolves to NULL.
  std::function<bool(std::string_view)> kfunc_exists;
  /// Ask libbpf in a child process for its reading; off where no process can be started (fuzzing).
  bool ask_libbpf = true;
};

/// Throws InputError (ExitCode::policy_rejected) with one line.
Object load_object(std::span<const std::uint8_t> bytes, const std::string& label, const LoadOptions& options);

/// Reads the file first; the label is the file's name without its directories.
Object load_object_file(const std::string& path, const LoadOptions& options);

}  // namespace rxpool::bpf
