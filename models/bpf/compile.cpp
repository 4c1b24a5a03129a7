#include "models/bpf/compile.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "sim/error.hpp"

extern char** environ;

namespace rxpool::bpf {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t max_source_bytes = 4U << 20;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw InputError(name + ": " + why, ExitCode::policy_rejected);
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A folder of its own for the steps, gone at the end.
class WorkFolder {
 public:
  WorkFolder() {
    std::string pattern = (fs::temp_directory_path() / "rxpool-compile-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw InputError(std::string("no temporary folder to compile in: ") + std::strerror(errno), ExitCode::limit);
    }
    path_ = pattern;
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

int wait_for(pid_t child, int time_limit_ms, const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(time_limit_ms);
  int status = 0;
  for (;;) {
    const pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child) {
      return status;
    }
    if (done < 0 && errno != EINTR) {
      throw BugError("compile: the compiler's process is gone");
    }
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      refuse(name, "the compiler took more than " + std::to_string(time_limit_ms / 1000) + " s");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::string first_error(const fs::path& log) {
  std::ifstream file(log);
  std::string line;
  std::string first;
  while (std::getline(file, line)) {
    first = first.empty() ? line : first;
    if (line.find("error:") != std::string::npos) {
      return line;
    }
  }
  return first.empty() ? "the compiler failed without a word" : first;
}

void run_clang(const std::vector<std::string>& arguments, const WorkFolder& folder, const std::string& name,
               const CompileOptions& options) {
  std::vector<std::string> words{
      options.clang, "-target", "bpf", "-mcpu=v4", "-O2", "-g", "-Wno-unused-command-line-argument"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> raw;
  for (std::string& word : words) {
    raw.push_back(word.data());
  }
  raw.push_back(nullptr);
  const fs::path log = folder / "log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int error = posix_spawnp(&child, options.clang.c_str(), &actions, nullptr, raw.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw InputError("no " + options.clang + " to compile policies with: " + std::strerror(error),
                     ExitCode::not_available);
  }
  const int status = wait_for(child, options.time_limit_ms, name);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    refuse(name, first_error(log));
  }
}

bool lies_in(const fs::path& file, const fs::path& folder) {
  const auto inside = fs::weakly_canonical(file).lexically_relative(fs::weakly_canonical(folder));
  return !inside.empty() && *inside.begin() != "..";
}

bool allowed(const fs::path& file, const CompileOptions& options) {
  for (const char* system : {"/usr/include/linux", "/usr/include/asm-generic", "/usr/include/bpf"}) {
    if (lies_in(file, system)) {
      return true;
    }
  }
  const std::string real = fs::weakly_canonical(file).string();
  const bool machine = real.rfind("/usr/include/", 0) == 0 && real.find("/asm/") != std::string::npos;
  const bool compiler = real.rfind("/usr/lib/", 0) == 0 && real.find("/clang/") != std::string::npos;
  return machine || compiler || lies_in(file, options.include_folder);
}

// The list in make's notation: "target: file file \", blanks in names escaped.
void check_files_read(const std::string& rules, const fs::path& source, const std::string& name,
                      const CompileOptions& options) {
  std::string file;
  const auto finish = [&] {
    if (!file.empty() && file.back() != ':' && fs::path(file) != source && !allowed(file, options)) {
      refuse(name, "reads " + file + ", which is outside its include folder");
    }
    file.clear();
  };
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const char next = i + 1 < rules.size() ? rules[i + 1] : '\n';
    if (rules[i] == '\\' && (next == ' ' || next == '#')) {
      file += next;
      ++i;
    } else if (rules[i] == '$' && next == '$') {
      file += '$';
      ++i;
    } else if (rules[i] == ' ' || rules[i] == '\n' || (rules[i] == '\\' && next == '\n')) {
      finish();
    } else {
      file += rules[i];
    }
  }
  finish();
}

// Text between the quotes at `at` in LLVM's notation, escapes decoded.
std::string quoted(const std::string& text, std::size_t& at) {
  std::string out;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 2 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(at + 1, 2).c_str(), nullptr, 16));
      at += 2;
    } else {
      out += text[at];
    }
  }
  return out;
}

// Inline assembly may hold instructions, no directives: a dot before a letter is one (.incbin, .include, .macro …).
void check_assembly(const std::string& ir, const std::string& name) {
  for (std::size_t at = ir.find("asm "); at != std::string::npos; at = ir.find("asm ", at + 1)) {
    const std::size_t line_end = ir.find('\n', at);
    std::size_t quote = ir.find('"', at);
    if (quote == std::string::npos || quote > line_end) {
      continue;
    }
    ++quote;
    const std::string code = quoted(ir, quote);
    for (std::size_t i = 0; i + 1 < code.size(); ++i) {
      if (code[i] == '.' && std::isalpha(static_cast<unsigned char>(code[i + 1])) != 0) {
        refuse(name, "assembler directives are not allowed in inline assembly: " + code.substr(i, 20));
      }
    }
  }
}

}  // namespace

std::vector<std::uint8_t> compile_policy(const std::string& source, const std::string& name,
                                         const CompileOptions& options) {
  if (source.size() > max_source_bytes) {
    refuse(name, "the source is larger than 4 MiB");
  }
  const WorkFolder folder;
  const fs::path input = folder / "policy.bpf.c";
  std::ofstream(input, std::ios::binary) << "#line 1 \"" << fs::path(name).filename().string() << "\"\n" << source;

  std::vector<std::string> preprocess{"-E",  "-MD", "-MF", (folder / "files").string(),
                                      "-MT", "all", "-I",  options.include_folder};
  for (const auto& entry : fs::directory_iterator("/usr/include")) {  // the machine's <asm/…> of a multiarch system
    if (fs::exists(entry.path() / "asm" / "types.h")) {
      preprocess.insert(preprocess.end(), {"-idirafter", entry.path().string()});
    }
  }
  for (const std::string& define : options.defines) {
    preprocess.push_back("-D" + define);
  }
  preprocess.insert(preprocess.end(), {"-o", (folder / "policy.i").string(), input.string()});
  run_clang(preprocess, folder, name, options);
  check_files_read(read_text(folder / "files"), input, name, options);

  run_clang(
      {"-x", "cpp-output", "-S", "-emit-llvm", "-o", (folder / "policy.ll").string(), (folder / "policy.i").string()},
      folder, name, options);
  check_assembly(read_text(folder / "policy.ll"), name);

  run_clang({"-x", "ir", "-c", "-o", (folder / "policy.o").string(), (folder / "policy.ll").string()}, folder, name,
            options);
  const std::string object = read_text(folder / "policy.o");
  return {object.begin(), object.end()};
}

std::vector<std::uint8_t> compile_policy_file(const std::string& path, const CompileOptions& options) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error || size > max_source_bytes) {
    throw InputError(path + ": cannot be read, or is larger than 4 MiB");
  }
  return compile_policy(read_text(path), fs::path(path).filename().string(), options);
}

}  // namespace rxpool::bpf
