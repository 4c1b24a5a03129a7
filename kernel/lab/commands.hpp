#pragma once
// How the lab sets its devices up: iproute2's ip, and files below /proc and /sys. Both act in the network namespace of
// the calling thread.

#include <string>

namespace rxpool::lab {

/// Throws Unavailable unless the command ends with 0.
void shell(const std::string& command);
/// Throws Unavailable when the file does not take it.
void write_file(const std::string& path, const std::string& text);

}  // namespace rxpool::lab
