#pragma once
// libbpf's reading of an object, made in a child process with limits on memory, CPU time, files and wall-clock time,
// because libbpf is not built for hostile input. What comes back over the pipe is an inventory as text, one line per
// map and program, that the parent compares with its own; nothing is parsed from it. A child that dies or hangs means
// that the object is refused (ExitCode::policy_rejected).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rxpool::bpf {

std::string inventory_line(const std::string& map, std::uint32_t type, std::uint32_t key_size, std::uint32_t value_size,
                           std::uint32_t max_entries, std::uint32_t flags);
std::string inventory_line(const std::string& section, const std::string& program, std::size_t instructions);
std::string join_inventory(std::vector<std::string> lines);

/// The inventory as libbpf sees it: maps of data sections and subprograms left out, lines sorted.
std::string libbpf_inventory(std::span<const std::uint8_t> bytes, const std::string& label);

}  // namespace rxpool::bpf
