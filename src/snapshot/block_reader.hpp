// Reads the blocks of a snapshot file one after the other, and skips what is damaged: where a
// block's header is not, its length says where the next one begins; otherwise the next one is
// searched for by the file's sync mark, which nobody who stored an entry could know.
//
// Thread-safety: none. Ownership: borrows the descriptor. Errors: a failure to read ends the file,
// see error(); the constructor throws std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "snapshot/format.hpp"

namespace kvcache::snapshot {

// Where the bytes come from. A test reads from memory.
class byte_source {
public:
  virtual ~byte_source() = default;
  // Up to `count` bytes; 0 at the end, negative: -errno.
  virtual ssize_t read(char* to, std::size_t count) noexcept = 0;
};

class block_reader {
public:
  struct block {
    block_kind kind = block_kind::entries;
    std::uint32_t number = 0;
  };

  explicit block_reader(byte_source& from);

  // REQUIRES: called once, first.
  decoded_header read_header() noexcept;

  // The next undamaged block, its payload assigned to `payload`, which has room for
  // payload_bytes_most. Nothing at the end of the file.
  std::optional<block> next(std::vector<char>& payload);

  std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  std::uint64_t skipped_blocks() const noexcept { return skipped_; } // damaged ones, about
  int error() const noexcept { return error_; }                      // errno of a failed read

private:
  std::string_view buffered() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }
  bool fill(std::size_t bytes) noexcept;
  std::optional<block_header> peek_header() noexcept;
  bool find_sync() noexcept;

  byte_source& from_;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false; // of the source
  std::uint64_t sync_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t skipped_ = 0;
  int error_ = 0;
};

} // namespace kvcache::snapshot
