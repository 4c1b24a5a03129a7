// Writes the files that are generated from the parameter structs: scenarios/schema.json and the tables in
// docs/scenario-format.md, between its markers. Usage: rxpool_scenario_docs REPOSITORY

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "models/scenario/json_text.hpp"
#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

namespace {

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw rxpool::InputError(path + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s REPOSITORY\n", argv[0]);
    return 2;
  }
  try {
    const std::string root = argv[1];
    write(root + "/scenarios/schema.json", rxpool::scenario_schema_json());
    const std::string page = root + "/docs/scenario-format.md";
    write(page, rxpool::scenario_page(rxpool::scenario::read_text_file(page)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
