#include "snapshot/file_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kvcache::snapshot {

file_source::~file_source() {
  if (file_ >= 0) ::close(file_);
}

std::string file_source::open(const std::string& path, bool& missing) {
  file_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); // a FIFO: at once
  missing = file_ < 0 && errno == ENOENT;
  if (missing) return {};
  struct stat found {};
  if (file_ < 0 || ::fstat(file_, &found) != 0) return std::generic_category().message(errno);
  is_special_ = !S_ISREG(found.st_mode);
  if (is_special_) return "not a regular file";
  bytes_ = static_cast<std::uint64_t>(found.st_size);
  ::posix_fadvise(file_, 0, 0, POSIX_FADV_SEQUENTIAL);
  return {};
}

ssize_t file_source::read(char* to, std::size_t count) noexcept {
  const ssize_t got = ::read(file_, to, count);
  if (got < 0) return -errno;
  ::posix_fadvise(file_, static_cast<off_t>(read_), got, POSIX_FADV_DONTNEED);
  read_ += static_cast<std::uint64_t>(got);
  return got;
}

} // namespace kvcache::snapshot
