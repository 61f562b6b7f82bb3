// What a connection has received and not yet used up: one contiguous block. While the connection is
// idle that is a small one that is part of it; a burst or a large request gets one from the heap.
//
//   [consumed | unused input | free room]
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

  input_buffer() noexcept {} // on purpose not zero-filled
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

  // The first `bytes` of unused() are used up.
  void consume(std::size_t bytes) noexcept {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void discard() noexcept { begin_ = end_ = 0; }

  // The last `bytes` of unused() have been removed.
  void shorten(std::size_t bytes) noexcept { end_ -= bytes; }

  // Moves what is unused to the front; this invalidates unused().
  void compact() noexcept;

  // Exchanges the block for a larger one and keeps what is unused. False if there is no memory;
  // then nothing has changed. REQUIRES: bytes > capacity().
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
