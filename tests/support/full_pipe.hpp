// A pipe whose reader does not read: a write to it blocks. Not thread-safe.
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
  // Whoever is blocked gets EPIPE. The writing end stays open, since a thread that was left behind
  // may still write to it: its number must not become another file's.
  ~full_pipe() { ::close(ends_[0]); }
  full_pipe(const full_pipe&) = delete;
  full_pipe& operator=(const full_pipe&) = delete;

  // Leaves it blocking, as a shell makes it.
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
