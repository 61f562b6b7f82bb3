#include "memory/reread_file.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace kvcache {

namespace {
constexpr std::size_t first_read_bytes = 4096;
constexpr std::size_t file_bytes_max = std::size_t{4} << 20;

// The descriptor will never be readable: the group was removed, the process has ended, or the path
// was a directory when it was opened.
bool is_gone(int error) noexcept { return error == ENODEV || error == ESRCH || error == EISDIR; }
} // namespace

reread_file::reread_file(reread_file&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

void reread_file::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

bool reread_file::open() noexcept {
  if (descriptor_ < 0) descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return descriptor_ >= 0;
}

bool reread_file::read(std::string& text) {
  text.clear();
  if (!open()) return false;
  if (read_open(text)) return true;
  text.clear();
  if (!is_gone(errno)) return false;
  close();
  if (open() && read_open(text)) return true;
  text.clear();
  return false;
}

// On failure, errno holds the cause and `text` is unspecified.
bool reread_file::read_open(std::string& text) {
  std::size_t filled = 0;
  text.resize(text.capacity() < first_read_bytes ? first_read_bytes : text.capacity());
  for (;;) {
    const ssize_t got = ::pread(descriptor_, text.data() + filled, text.size() - filled,
                                static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    filled += static_cast<std::size_t>(got);
    if (got == 0 || filled >= file_bytes_max) break;
    if (filled == text.size()) text.resize(text.size() * 2);
  }
  text.resize(filled);
  return true;
}

} // namespace kvcache
