#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;
namespace fs = std::filesystem;

namespace {

/// A folder with a scenario beside a capture, and a capture outside of it.
class Folder {
 public:
  Folder() : root_(fs::temp_directory_path() / ("rxpool_files_" + std::to_string(getpid()))) {
    fs::create_directories(root_ / "in");
    for (const fs::path& file : {root_ / "in" / "a.pcap", root_ / "out.pcap", root_ / "in" / "p.bpf.o"})
      std::ofstream(file) << "x";
  }
  ~Folder() { fs::remove_all(root_); }
  fs::path root() const { return root_; }

  std::string message(const std::string& file, bool allow_path = false) const {
    LoadOptions options = test_options();
    options.folder = (root_ / "in").string();
    options.calibration_folder = source_path("scenarios/calibration");
    options.allow_path = allow_path;
    options.overrides = {{"traffic.load", R"({"nic": "nic0", "kind": "pcap", "file": ")" + file + "\"}"}};
    try {
      files_ = named_files(load_scenario(small_scenario, options));
      return "";
    } catch (const InputError& error) {
      CHECK(error.code() == ExitCode::bad_input);
      return error.what();
    }
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  fs::path root_;
  mutable std::vector<std::string> files_;
};

}  // namespace

TEST_CASE("a capture inside the scenario's folder is found, and listed with the calibration") {
  const Folder folder;
  CHECK(folder.message("a.pcap") == "");
  REQUIRE(folder.files().size() == 2);
  CHECK(folder.files()[0] == source_path("scenarios/calibration/m1-mlx5.json"));
  CHECK(folder.files()[1] == (folder.root() / "in" / "a.pcap").string());
}

TEST_CASE("a file outside the folder needs permission, whichever way it is written") {
  const Folder folder;
  const std::string outside = (folder.root() / "out.pcap").string();
  CHECK(folder.message("../out.pcap").find("is outside the scenario's folder; copy it there or give --allow-path") !=
        std::string::npos);
  CHECK(folder.message(outside).find("is outside") != std::string::npos);
  CHECK(folder.message("../in/a.pcap") == "");
  CHECK(folder.message("../out.pcap", true) == "");
  CHECK(folder.message(outside, true) == "");
}

TEST_CASE("a link inside the folder that leads outside is outside") {
  const Folder folder;
  fs::create_symlink(folder.root() / "out.pcap", folder.root() / "in" / "link.pcap");
  CHECK(folder.message("link.pcap").find("is outside") != std::string::npos);
}

TEST_CASE("a missing capture is named with the place where it was looked for") {
  const Folder folder;
  CHECK(folder.message("none.pcap").find("traffic.load.file: \"none.pcap\" does not exist (looked for ") !=
        std::string::npos);
  CHECK(folder.message("").find("traffic.load.file: missing; name a capture") != std::string::npos);
  CHECK(folder.message(".").find("is no regular file") != std::string::npos);
}

TEST_CASE("a missing scenario, calibration or policy is named") {
  try {
    load_scenario_file("no/such/file.json");
    FAIL("loaded");
  } catch (const InputError& error) {
    CHECK(std::string(error.what()) ==
          "no/such/file.json: cannot be opened: No such file or directory; check the name");
  }
  CHECK(refusal(small_scenario, {{"calibration", "m9"}}).find("no calibration \"m9\"") != std::string::npos);
  CHECK(refusal(small_scenario, {{"policies.nic0", "dorp"}}).find("no policy \"dorp\"; use none, pass, drop") !=
        std::string::npos);
}
