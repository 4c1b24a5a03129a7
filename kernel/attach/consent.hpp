#pragma once
// Which interfaces are never touched, whatever the user agreed to: the one that carries a default route, and the one
// over which the caller is connected.

#include <string>

namespace rxpool::attach {

/// Why this interface is refused; empty if it may be used.
std::string refusal(const std::string& interface);

/// The server's address of the SSH connection that this process or one of its ancestors runs under; empty if none.
std::string connection_address();

}  // namespace rxpool::attach
