// A growable buffer for output that never zero-fills, for a writer that knows how much it appends.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace kvcache::http {

class output_buffer {
public:
  // Reserves at least `bytes` more and returns their address, valid until the next prepare() or
  // release(). Throws std::bad_alloc; nothing has changed then.
  char* prepare(std::size_t bytes) {
    if (bytes > capacity_ - size_) grow(bytes);
    return data_.get() + size_;
  }

  // `end`: behind the last byte that has been written to the reserved space.
  void commit(const char* end) noexcept { size_ = static_cast<std::size_t>(end - data_.get()); }

  void append(std::string_view text);

  std::size_t room() const noexcept { return capacity_ - size_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::string_view view() const noexcept { return {data_.get(), size_}; }

  // Removes what was appended last. REQUIRES: size <= this->size().
  void truncate(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }

  // Clears it and frees its memory.
  void release() noexcept;

  void swap(output_buffer& other) noexcept;

private:
  void grow(std::size_t bytes);

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

} // namespace kvcache::http
