// Speaks the plugin protocol of the public BPF conformance suite for our three engines:
//   bpf_conformance_plugin ["memory as blank-separated hex bytes"] [--interpret | --checked | --jit]
// The program comes on stdin as blank-separated hex bytes; r1 is the memory (or 0), r2 its length, helper 5 returns r1.
// r0 goes to stdout in hex with exit 0; a text to stderr with another exit code when the program is refused or aborted.

#include <cstring>
#include <exception>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/bpf/vm.hpp"

namespace {

using namespace rxpool::bpf;

std::vector<std::uint8_t> parse_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  std::istringstream stream(text);
  for (std::string token; stream >> token;) {
    std::size_t used = 0;
    const unsigned long value = std::stoul(token, &used, 16);
    if (used != token.size() || value > 0xff) {
      throw std::invalid_argument("'" + token + "' is no hex byte");
    }
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

std::uint64_t return_first(Runtime&, std::uint64_t r1, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  return r1;
}

int run(int argc, char** argv) {
  VmOptions options;
  std::vector<std::uint8_t> memory;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--interpret") {
      options.engine = Engine::interpreter;
    } else if (argument == "--checked") {
      options.engine = Engine::checked;
    } else if (argument == "--jit") {
      options.engine = Engine::jit;
    } else if (argument.starts_with("--")) {
      throw std::invalid_argument("unknown option " + argument);
    } else {
      memory = parse_hex(argument);
    }
  }
  const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  const std::vector<std::uint8_t> bytes = parse_hex(text);
  if (bytes.size() % sizeof(Insn) != 0) {
    throw std::invalid_argument("the program is not a whole number of instructions");
  }
  Program program;
  program.name = "stdin";
  program.insns.resize(bytes.size() / sizeof(Insn));
  std::memcpy(program.insns.data(), bytes.data(), bytes.size());

  HelperTable helpers;
  helpers.add({.id = 5, .name = "return_first", .fn = return_first, .args = {ArgKind::anything}});
  Box box;
  BoxOffset at = 0;
  if (!memory.empty()) {
    at = box.map_region(ObjectClass::scratch, memory.size(), "memory");
    std::memcpy(box.at(at), memory.data(), memory.size());
  }
  Vm vm(box, {program}, {}, helpers, options);
  const Outcome outcome = vm.run(0, at, memory.size());
  if (outcome.abort != 0) {
    std::cerr << vm.last_abort();
    return 1;
  }
  std::cout << std::hex << outcome.r0 << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
