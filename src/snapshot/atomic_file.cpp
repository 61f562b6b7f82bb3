#include "snapshot/atomic_file.hpp"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace kvcache::snapshot {

namespace {

constexpr std::uint64_t window_bytes = std::uint64_t{1} << 20;

// Windows that the disk may still be writing.
constexpr std::uint64_t windows_under_way = 2;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

int open_new(const char* path) noexcept {
  return ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

} // namespace

ssize_t file_calls::write(int file, const void* bytes, std::size_t count) noexcept {
  return ::write(file, bytes, count);
}
int file_calls::sync(int file) noexcept { return ::fsync(file); }
int file_calls::sync_range(int file, std::int64_t from, std::int64_t bytes,
                           unsigned flags) noexcept {
  return ::sync_file_range(file, from, bytes, flags);
}
int file_calls::rename(const char* from, const char* to) noexcept { return std::rename(from, to); }

file_calls& system_file_calls() noexcept {
  static file_calls calls; // stateless
  return calls;
}

atomic_file::atomic_file(std::string path, file_calls& calls)
    : path_(std::move(path)),
      temporary_(path_ + std::string{temporary_suffix}),
      directory_(directory_of(path_)),
      calls_(calls) {}

atomic_file::~atomic_file() {
  if (opened_directory_ >= 0) ::close(opened_directory_);
  if (file_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(file_);
}

int atomic_file::fail(int error) noexcept { return error_ = error; }

int atomic_file::open() noexcept {
  opened_directory_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened_directory_ < 0) return fail(errno);
  file_ = open_new(temporary_.c_str());
  if (file_ < 0 && errno == EEXIST) {
    if (const int error = remove_left_file(); error != 0) return fail(error);
    file_ = open_new(temporary_.c_str());
  }
  if (file_ < 0) return fail(errno);
  ::flock(file_, LOCK_EX | LOCK_NB); // for remove_left_file() of another process
  return 0;
}

// Whoever writes to it holds its lock.
int atomic_file::remove_left_file() noexcept {
  const int left = ::open(temporary_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (left >= 0) {
    const bool is_free = ::flock(left, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    ::close(left);
    if (!is_free) return EBUSY;
  }
  return ::unlink(temporary_.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

int atomic_file::write(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    if (error_ != 0) return error_;
    const ssize_t written = calls_.write(file_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(errno);
    }
    bytes_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  while (error_ == 0 && bytes_ - passed_on_ >= window_bytes) pass_on();
  return error_;
}

// Starts to write the next window, waits for an earlier one, and drops that from the page cache.
int atomic_file::pass_on() noexcept {
  if (const int error = sync_window(passed_on_, SYNC_FILE_RANGE_WRITE); error != 0) return error;
  passed_on_ += window_bytes;
  if (passed_on_ <= windows_under_way * window_bytes) return 0;
  const std::uint64_t earlier = passed_on_ - (windows_under_way + 1) * window_bytes;
  constexpr unsigned wait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (const int error = sync_window(earlier, wait); error != 0) return error;
  ::posix_fadvise(file_, static_cast<off_t>(earlier), window_bytes, POSIX_FADV_DONTNEED);
  return 0;
}

// An error of a write that was under way is reported once: here, and not by fsync(2) afterwards.
// Some file systems do not know this call.
int atomic_file::sync_window(std::uint64_t from, unsigned flags) noexcept {
  if (calls_.sync_range(file_, static_cast<std::int64_t>(from), window_bytes, flags) == 0) return 0;
  const bool is_unknown = errno == ENOSYS || errno == EINVAL || errno == ESPIPE;
  return is_unknown ? 0 : fail(errno);
}

int atomic_file::commit() noexcept {
  if (error_ != 0) return error_;
  if (calls_.sync(file_) != 0) return fail(errno);
  ::posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED);
  if (calls_.rename(temporary_.c_str(), path_.c_str()) != 0) return fail(errno);
  ::close(std::exchange(file_, -1));
  return sync_directory();
}

int atomic_file::sync_directory() noexcept {
  if (calls_.sync(opened_directory_) == 0) return 0;
  return errno == EINVAL ? 0 : fail(errno); // some file systems know no fsync of a directory
}

} // namespace kvcache::snapshot
