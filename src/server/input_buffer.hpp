// Input that a connection has received and not yet consumed: one contiguous block. An idle
// connection uses a small one inside this object; a burst or a large request gets one from the
// heap.
//
//   [consumed | unused input | free space]
//
// Thread-safety: none; the connection owns it.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace kvcache::http {

class input_buffer {
public:
  // Nearly every request fits.
  static constexpr std::size_t idle_bytes = 1024;

  input_buffer() noexcept {} // deliberately uninitialised
  input_buffer(const input_buffer&) = delete;
  input_buffer& operator=(const input_buffer&) = delete;

  std::string_view unused() const noexcept { return {data_ + begin_, end_ - begin_}; }
  std::span<char> unused_bytes() noexcept { return {data_ + begin_, end_ - begin_}; }
  bool empty() const noexcept { return begin_ == end_; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t heap_bytes() const noexcept { return large_ ? capacity_ : 0; }

  std::span<char> free_space() noexcept { return {data_ + end_, capacity_ - end_}; }
  std::size_t free_bytes() const noexcept { return capacity_ - end_; }

  // `bytes` have been written to free_space().
  void commit(std::size_t bytes) noexcept { end_ += bytes; }

  // The first `bytes` of unused() are consumed.
  void consume(std::size_t bytes) noexcept {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void discard() noexcept { begin_ = end_ = 0; }

  // The last `bytes` of unused() have been removed.
  void shorten(std::size_t bytes) noexcept { end_ -= bytes; }

  // Moves unused input to the front; this invalidates unused().
  void compact() noexcept;

  // Replaces the block by a larger one and keeps the unused input. False if there is no memory;
  // nothing has changed then. REQUIRES: bytes > capacity().
  bool grow(std::size_t bytes) noexcept;

  // Back to the small one. REQUIRES: empty().
  void shrink() noexcept;

private:
  std::array<char, idle_bytes> small_;
  std::unique_ptr<char[]> large_;
  char* data_ = small_.data();
  std::size_t capacity_ = idle_bytes;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

} // namespace kvcache::http
