#include "snapshot/file_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace kvcache::snapshot {

file_source::~file_source() { close(); }

void file_source::close() noexcept {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

std::string file_source::open(const std::string& path, bool& missing) {
  file_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); // a FIFO: at once
  struct stat found {};
  open_error_ = file_ < 0 || ::fstat(file_, &found) != 0 ? errno : 0;
  missing = open_error_ == ENOENT;
  if (missing) return {};
  if (open_error_ != 0) return std::generic_category().message(open_error_);
  is_special_ = !S_ISREG(found.st_mode);
  if (is_special_) return "not a regular file";
  bytes_ = static_cast<std::uint64_t>(found.st_size);
  return {};
}

// Dropped from the beginning each time: the page cache keeps blocks of pages that are advised in
// parts.
ssize_t file_source::read(char* to, std::size_t count) noexcept {
  constexpr std::uint64_t window_bytes = std::uint64_t{2} << 20;
  const ssize_t got = ::read(file_, to, count);
  if (got < 0) return -errno;
  read_ += static_cast<std::uint64_t>(got);
  if (got == 0 || read_ - dropped_ >= window_bytes) {
    ::posix_fadvise(file_, 0, static_cast<off_t>(read_), POSIX_FADV_DONTNEED);
    dropped_ = read_;
  }
  return got;
}

} // namespace kvcache::snapshot
