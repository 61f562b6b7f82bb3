// A small file of /proc or /sys that is read again and again. It keeps its descriptor: a read is
// then one or two system calls, and works on when the process has run out of descriptors.
//
// Not thread-safe. Owns the descriptor. A failed read closes it, and the next read opens anew, so
// that a file that vanished and came back (a group removed, a controller switched on) is found
// again.
#pragma once

#include <string>

namespace kvcache {

class reread_file {
public:
  explicit reread_file(std::string path) noexcept : path_(std::move(path)) {}
  ~reread_file() { close(); }
  reread_file(reread_file&& other) noexcept;
  reread_file& operator=(reread_file&&) = delete;

  // Puts the whole present content into `text`, whose capacity is reused; content beyond 4 MiB is
  // cut off. False where it cannot be read; `text` is then empty.
  bool read(std::string& text);

private:
  void close() noexcept;

  std::string path_;
  int descriptor_ = -1;
};

} // namespace kvcache
