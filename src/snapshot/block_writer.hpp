// Writes entries to a file as blocks: see README.md.
//
// Thread-safety: none. Errors: errno values of the file, 0 for success; the constructor throws
// std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "snapshot/atomic_file.hpp"
#include "snapshot/format.hpp"

namespace kvcache::snapshot {

class block_writer {
public:
  // Entries of more bytes, header included, are written as long ones.
  static constexpr std::size_t short_entry_bytes_most = std::size_t{64} << 10;

  explicit block_writer(atomic_file& file);

  int begin(const file_header& header) noexcept; // first

  // Whether append() may be called; else finish_block() first.
  bool has_room() const noexcept { return payload_bytes_most - used_ >= short_entry_bytes_most; }
  // Copies to the block: no call of the system.
  void append(const entry_header& header, std::string_view key, std::string_view value) noexcept;
  int finish_block() noexcept; // nothing if it is empty

  int write_long(const entry_header& header, std::string_view key, std::string_view value) noexcept;

  int write_experience(const hit_density::experience& learned) noexcept;

  int end(const totals& t) noexcept; // last

private:
  char* payload() noexcept { return block_.get() + block_header_bytes; }
  void add(std::string_view bytes) noexcept;
  int fill(std::string_view bytes) noexcept;
  int write_block(block_kind kind, std::string_view payload) noexcept;

  atomic_file& file_;
  std::unique_ptr<char[]> block_;
  std::uint64_t sync_ = 0;
  std::size_t used_ = 0; // of the payload
  std::uint32_t number_ = 0;
  block_kind kind_ = block_kind::entries; // of the present block
};

} // namespace kvcache::snapshot
