// A small file of /proc or /sys that is read again and again. It keeps its descriptor: a read is
// one or two system calls, and works when the process has run out of descriptors.
//
// Ownership: owns the descriptor. Thread-safety: none.
// Errors: a failed read keeps the descriptor, since opening it again may fail; but where the kernel
// says that the file is gone (a group removed, a controller switched off) the path is opened anew,
// at once and at every later read.
#pragma once

#include <string>

namespace kvcache {

class reread_file {
public:
  explicit reread_file(std::string path) noexcept : path_(std::move(path)) {}
  ~reread_file() { close(); }
  reread_file(reread_file&& other) noexcept;
  reread_file& operator=(reread_file&&) = delete;

  // Opens the file unless it is open. False where that fails; errno says why.
  bool open() noexcept;

  // Puts the whole present content into `text`, whose capacity is reused; content beyond 4 MiB is
  // cut off. False where it cannot be read; `text` is then empty.
  bool read(std::string& text);

private:
  bool read_open(std::string& text);
  void close() noexcept;

  std::string path_;
  int descriptor_ = -1;
};

} // namespace kvcache
