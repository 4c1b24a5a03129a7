#pragma once
// JSON as people write it, read strictly: duplicate keys, control characters, more than 32 levels or 16 MiB are errors,
// and every error is one line with source and place. Scenarios and calibration files both come through here.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace rxpool::scenario {

inline constexpr std::size_t max_text_bytes = 16U << 20;
inline constexpr int max_depth = 32;

/// Throws InputError.
nlohmann::json parse_json(std::string_view text, const std::string& source_name);

/// The bytes of a file of at most `max_text_bytes`. Throws InputError for a missing, unreadable or too large one.
std::string read_text_file(const std::string& path);

/// For error messages: control characters and invalid bytes become escapes, long text is cut.
std::string printable(std::string_view text, std::size_t max_length = 60);

std::string in_quotes(std::string_view text, std::size_t max_length = 60);

/// "nics.nic0" and "rx_ring" make "nics.nic0.rx_ring"; an empty place is the top.
std::string join_place(const std::string& place, std::string_view name);

/// The nearest of `candidates` within a third of the word's length, else empty.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

[[noreturn]] void fail(const std::string& source_name, const std::string& place, const std::string& problem);

}  // namespace rxpool::scenario
