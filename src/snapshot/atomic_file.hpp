// Writes a file that replaces another one as a whole, or not at all: a temporary file beside it,
// which is renamed when all is on the disk.
//
// The page cache counts against the memory limit of a container. So the kernel is told to write
// each MiB at once, and to drop it once it is written: three MiB of it are in memory at most.
//
// Thread-safety: none. Errors: as errno values, 0 for success; after the first, all else fails with
// it, too. The destructor removes what has not been committed.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvcache::snapshot {

// The system calls that can fail for reasons outside the program; a test makes them fail.
class file_calls {
public:
  virtual ~file_calls() = default;
  virtual ssize_t write(int file, const void* bytes, std::size_t count) noexcept;
  virtual int sync(int file) noexcept;
  virtual int sync_range(int file, std::int64_t from, std::int64_t bytes,
                         unsigned flags) noexcept; // sync_file_range(2)
  virtual int rename(const char* from, const char* to) noexcept;
};
file_calls& system_file_calls() noexcept;

class atomic_file {
public:
  // The temporary file's name: that of the file, and this.
  static constexpr std::string_view temporary_suffix = ".tmp";

  explicit atomic_file(std::string path, file_calls& calls = system_file_calls());
  ~atomic_file();
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;

  // Creates the temporary file; removes one that a crash has left. EBUSY if another process writes
  // to it now.
  int open() noexcept;
  int write(std::string_view bytes) noexcept; // REQUIRES: open() returned 0
  // All is on the disk, and under its name, when this returns 0. REQUIRES: likewise
  int commit() noexcept;

  std::uint64_t bytes() const noexcept { return bytes_; } // written

private:
  int fail(int error) noexcept;
  int pass_on() noexcept;
  int sync_window(std::uint64_t from, unsigned flags) noexcept;
  int remove_left_file() noexcept;
  int sync_directory() noexcept;

  const std::string path_;
  const std::string temporary_;
  const std::string directory_;
  file_calls& calls_;
  int file_ = -1;
  int opened_directory_ = -1; // before anything is renamed, so that syncing it cannot fail for that
  int error_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t passed_on_ = 0; // to the disk
};

} // namespace kvcache::snapshot
