// Owns one file descriptor. Thread-safety: none.
#pragma once

#include <unistd.h>

#include <utility>

namespace kvcache::http {

class unique_fd {
public:
  explicit unique_fd(int fd) noexcept : fd_(fd) {} // negative: none
  ~unique_fd() { reset(); }
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(release());
  }

private:
  int fd_;
};

} // namespace kvcache::http
