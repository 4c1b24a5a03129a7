#pragma once
// Changes to a scenario's text before it is read (`--set a.b=c`), and the patterns of dotted paths.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/scenario/field_reader.hpp"

namespace rxpool::scenario {

std::vector<std::string> split_path(std::string_view path);

/// "nics.*.rx_ring" against "nics.nic0.rx_ring": `*` stands for exactly one name.
bool matches(std::string_view pattern, std::string_view path);

/// Sets each path, making the objects on the way. Text that is not JSON counts as a string. Throws InputError.
void apply_overrides(nlohmann::json& document, const std::vector<std::pair<std::string, std::string>>& overrides,
                     const Origin& origin);

/// Sets one path in a document. Throws InputError when something on the way is a plain value.
void set_path(nlohmann::json& document, const std::string& path, nlohmann::json value, const Origin& origin);

}  // namespace rxpool::scenario
