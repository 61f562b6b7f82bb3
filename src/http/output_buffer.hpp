// Bytes waiting to be sent: a growable buffer that never zero-fills, made for one writer that knows
// how much it is going to append. One thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace kvcache::http {

class output_buffer {
public:
  // Room for at least `bytes` more; returns where they go. Throws std::bad_alloc, and then nothing
  // has changed. The pointer is good until the next prepare() or release().
  char* prepare(std::size_t bytes) {
    if (bytes > capacity_ - size_) grow(bytes);
    return data_.get() + size_;
  }

  // `end` is where writing into the prepared room stopped.
  void commit(const char* end) noexcept { size_ = static_cast<std::size_t>(end - data_.get()); }

  void append(std::string_view text);

  std::size_t room() const noexcept { return capacity_ - size_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::string_view view() const noexcept { return {data_.get(), size_}; }

  // REQUIRES: size <= this->size(). Takes back what was appended last.
  void truncate(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }

  // Clears it and gives its memory back.
  void release() noexcept;

  void swap(output_buffer& other) noexcept;

private:
  void grow(std::size_t bytes);

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

} // namespace kvcache::http
