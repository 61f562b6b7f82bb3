// A file that is read once, from its beginning to its end. Its pages do not stay in the page cache,
// which counts against the memory limit of a container.
//
// Thread-safety: none. Ownership: owns the descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "snapshot/block_reader.hpp"

namespace kvcache::snapshot {

class file_source final : public byte_source {
public:
  file_source() noexcept = default;
  ~file_source() override;
  file_source(const file_source&) = delete;
  file_source& operator=(const file_source&) = delete;

  // "" or what is wrong: it is no regular file, or cannot be opened. `missing`: there is none.
  std::string open(const std::string& path, bool& missing);
  ssize_t read(char* to, std::size_t count) noexcept override;
  void close() noexcept; // frees the disk space of a file that has been removed
  std::uint64_t bytes() const noexcept { return bytes_; }  // its length
  bool is_special() const noexcept { return is_special_; } // a directory, a device, …
  int open_error() const noexcept { return open_error_; }  // errno

private:
  int file_ = -1;
  bool is_special_ = false;
  int open_error_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t dropped_ = 0; // of read_, from the page cache
};

} // namespace kvcache::snapshot
