// A small file of /proc or /sys that is read repeatedly. It keeps its descriptor: a read is one or
// two system calls, and works when the process has no free descriptor.
//
// Ownership: owns the descriptor. Thread-safety: none.
// Errors: a failed read keeps the descriptor, since reopening may fail. If the kernel reports that
// the file no longer exists (a group removed, a controller disabled), the path is reopened
// immediately and at every later read.
#pragma once

#include <string>

namespace kvcache {

class reread_file {
public:
  explicit reread_file(std::string path) noexcept : path_(std::move(path)) {}
  ~reread_file() { close(); }
  reread_file(reread_file&& other) noexcept;
  reread_file& operator=(reread_file&&) = delete;

  // Opens the file unless it is open. False on failure; errno holds the cause.
  bool open() noexcept;

  // Reads the whole content into `text`, whose capacity is reused; content beyond 4 MiB is
  // truncated. False on failure; `text` is then empty.
  bool read(std::string& text);

private:
  bool read_open(std::string& text);
  void close() noexcept;

  std::string path_;
  int descriptor_ = -1;
};

} // namespace kvcache
