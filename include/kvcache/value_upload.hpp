// A value that is written piece by piece before it is stored, straight into the memory of the entry
// that it becomes.
//
//   value_upload upload = cache.begin_upload(key, most_bytes);
//   while (…) { read into upload.free_space(); upload.commit(bytes); }
//   upload.finish({}, 0, never, [](const entry_view*) { return true; });
//
// Thread-safety: none; any thread may use it, one at a time.
// Ownership: owns its memory until finish(), which passes it to the cache. It must be destroyed
//   before the cache.
// Errors: finish() returns an outcome; nothing throws.
// Complexity: constant, but for finish(), which may have to evict as much as the value is long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "kvcache/entry_view.hpp"
#include "kvcache/function_ref.hpp"
#include "kvcache/put_outcome.hpp"

namespace kvcache {

class value_upload {
public:
  // `most_bytes` of begin_upload() is at least this, and at least a half of it is written.
  static constexpr std::size_t least_bytes = std::size_t{32} << 10;

  value_upload() noexcept = default; // none
  value_upload(value_upload&& other) noexcept { swap(other); }
  value_upload& operator=(value_upload&& other) noexcept {
    value_upload old{std::move(*this)};
    swap(other);
    return *this;
  }
  ~value_upload();

  explicit operator bool() const noexcept { return store_ != nullptr; }

  // Behind what has been written, in the order of addresses.
  std::span<char> free_space() noexcept { return {value_ + written_, most_bytes_ - written_}; }

  // So much is written to free_space() next, before anything else happens: the kernel provides the
  // memory at once, which takes less time. A hint. REQUIRES: bytes <= free_space().size().
  void expect(std::size_t bytes) noexcept;

  void commit(std::size_t bytes) noexcept { written_ += bytes; }
  std::string_view written() const noexcept { return {value_, written_}; }

  // The memory in use, in whole pages. It is the caller's until finish(): the cache's limit does
  // not include it.
  std::size_t resident_bytes() const noexcept;

  // Stores the value, followed by `suffix`, as put_if() does. The cache accounts for its memory
  // from now on, and evicts for it. Holds nothing afterwards, whatever the outcome. REQUIRES: there
  // is room for the suffix.
  put_outcome finish(std::string_view suffix, std::uint8_t mark, tick expires_at,
                     precondition when) noexcept;

private:
  friend class store;

  void swap(value_upload& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(value_, other.value_);
    std::swap(written_, other.written_);
    std::swap(most_bytes_, other.most_bytes_);
    std::swap(block_, other.block_);
    std::swap(header_bytes_, other.header_bytes_);
    std::swap(key_bytes_, other.key_bytes_);
  }

  store* store_ = nullptr;
  char* value_ = nullptr;
  std::size_t written_ = 0;
  std::size_t most_bytes_ = 0; // of value and suffix
  std::uint32_t block_ = 0;
  std::uint32_t header_bytes_ = 0; // before the key
  std::uint32_t key_bytes_ = 0;
};

} // namespace kvcache
