// A full pipe without reader: a write to it blocks. Thread-safety: none.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace kvcache::test {

class full_pipe {
public:
  full_pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) return;
    ::fcntl(ends_[1], F_SETPIPE_SZ, 4096);
    fill();
  }
  // A blocked writer gets EPIPE. The writing end stays open, since an abandoned thread may still
  // write to it, and its number must not be reused.
  ~full_pipe() { ::close(ends_[0]); }
  full_pipe(const full_pipe&) = delete;
  full_pipe& operator=(const full_pipe&) = delete;

  // Leaves it in blocking mode, like a pipe of a shell.
  void fill() const {
    const int flags = ::fcntl(ends_[1], F_GETFL);
    ::fcntl(ends_[1], F_SETFL, flags | O_NONBLOCK);
    while (::write(ends_[1], "x", 1) == 1) {
    }
    ::fcntl(ends_[1], F_SETFL, flags);
  }

  int writing_end() const { return ends_[1]; }
  int reading_end() const { return ends_[0]; }

private:
  std::array<int, 2> ends_{-1, -1};
};

} // namespace kvcache::test
