#include "kernel/lab/commands.hpp"

#include <cstdlib>
#include <fstream>

#include "kernel/live/system.hpp"

namespace rxpool::lab {

void shell(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) != 0) {
    throw Unavailable("failed (needs CAP_NET_ADMIN and iproute2): " + command);
  }
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) {
    fail("writing " + path);
  }
}

}  // namespace rxpool::lab
