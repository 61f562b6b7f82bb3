#include "http/output_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace kvcache::http {

namespace {
constexpr std::size_t first_bytes = 2048; // two ordinary replies, with what they reserve
}

void output_buffer::append(std::string_view text) {
  char* const to = prepare(text.size());
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  size_ += text.size();
}

void output_buffer::release() noexcept {
  data_.reset();
  size_ = 0;
  capacity_ = 0;
}

void output_buffer::swap(output_buffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
}

void output_buffer::grow(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 2 - capacity_) throw std::bad_alloc();
  const std::size_t wanted = std::max({size_ + bytes, capacity_ * 2, first_bytes});
  auto larger = std::make_unique_for_overwrite<char[]>(wanted);
  if (size_ != 0) std::memcpy(larger.get(), data_.get(), size_);
  data_ = std::move(larger);
  capacity_ = wanted;
}

} // namespace kvcache::http
