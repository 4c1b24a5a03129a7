#pragma once
// libbpf's messages while one of these lives, kept instead of printed. libbpf has one printer per process, so only one
// thread at a time listens.

#include <mutex>
#include <string>

namespace rxpool::kernel {

class LibbpfWords {
 public:
  LibbpfWords();
  ~LibbpfWords();
  LibbpfWords(const LibbpfWords&) = delete;
  LibbpfWords& operator=(const LibbpfWords&) = delete;

  /// Everything said so far, at most 64 KiB.
  const std::string& text() const;

 private:
  std::unique_lock<std::mutex> turn_;
  int (*before_)(int, const char*, __builtin_va_list);
};

/// The last line that says something: not empty, no statistics of the verifier, no frame of libbpf around its log.
std::string last_line(const std::string& log);

}  // namespace rxpool::kernel
