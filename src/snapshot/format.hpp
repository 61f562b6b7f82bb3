// The format of a snapshot file: see README.md. Encodes and decodes its parts; pure.
//
// Errors: what is malformed is decoded as nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "eviction/hit_density.hpp"

namespace kvcache::snapshot {

inline constexpr std::uint32_t format_version = 1;

struct file_header {
  std::uint64_t sync = 0;          // begins each block
  std::uint64_t written_at_ms = 0; // since 1970
  std::uint64_t entries = 0;       // in the cache when the snapshot was begun
};
inline constexpr std::size_t file_header_bytes = 48;
std::array<char, file_header_bytes> encode(const file_header& header) noexcept;

enum class header_fault : std::uint8_t { none, not_a_snapshot, newer_version, damaged };
struct decoded_header {
  header_fault fault = header_fault::none;
  file_header header{};
  std::uint32_t version = 0;
};
// REQUIRES: file_header_bytes, or fewer if the file is shorter.
decoded_header decode_file_header(std::string_view bytes) noexcept;

enum class block_kind : std::uint8_t {
  entries = 1,      // whole entries
  long_entry = 2,   // the beginning of one that takes several blocks
  continuation = 3, // the next bytes of it
  end = 4,          // the file's last block
  experience = 5    // what eviction has learned
};
struct block_header {
  block_kind kind = block_kind::entries;
  std::uint32_t number = 0; // from 0 on, one after the other
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;
};
inline constexpr std::size_t block_header_bytes = 28;
inline constexpr std::size_t block_bytes_most = std::size_t{256} << 10; // with its header
inline constexpr std::size_t payload_bytes_most = block_bytes_most - block_header_bytes;
void encode(const block_header& header, std::uint64_t sync, char* to) noexcept;
std::array<char, sizeof(std::uint64_t)> sync_bytes(std::uint64_t sync) noexcept;
// REQUIRES: block_header_bytes. Nothing unless it begins with `sync` and is undamaged.
std::optional<block_header> decode_block_header(std::string_view bytes,
                                                std::uint64_t sync) noexcept;

// What precedes an entry's key and value.
struct entry_header {
  unsigned uses = 0;       // see entry_meta
  unsigned references = 0; // likewise
  std::uint32_t age_epochs = 0;
  bool is_utf8 = false;
  std::string_view type{};         // of the content; empty: none
  std::uint64_t expires_at_ms = 0; // since 1970; 0: never
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
};
inline constexpr std::size_t type_bytes_most = 100;
inline constexpr std::size_t entry_header_bytes_most = 40 + type_bytes_most;
// Returns the bytes written, entry_header_bytes_most at the most. REQUIRES: type_bytes_most.
std::size_t encode(const entry_header& header, char* to) noexcept;
// Advances `from` to the key. The type is a view of `from`, or static.
std::optional<entry_header> decode_entry_header(std::string_view& from) noexcept;

// The payload of the block with what eviction has learned. Decoded as nothing if a figure is none
// that can have been learned.
inline constexpr std::size_t experience_bytes =
    std::size_t{2} * use_class_count * age_bucket_count * sizeof(float);
std::array<char, experience_bytes> encode(const hit_density::experience& learned) noexcept;
std::optional<hit_density::experience> decode_experience(std::string_view payload) noexcept;

// The payload of the last block.
struct totals {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0; // of keys and values
  bool complete = false;   // false: the time did not suffice for all entries
};
inline constexpr std::size_t totals_bytes = 17;
std::array<char, totals_bytes> encode(const totals& t) noexcept;
std::optional<totals> decode_totals(std::string_view payload) noexcept;

} // namespace kvcache::snapshot
