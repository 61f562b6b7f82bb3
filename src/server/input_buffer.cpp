#include "server/input_buffer.hpp"

#include <cassert>
#include <cstring>
#include <new>
#include <utility>

namespace kvcache::http {

void input_buffer::compact() noexcept {
  if (begin_ == 0) return;
  const std::string_view rest = unused();
  std::memmove(data_, rest.data(), rest.size());
  begin_ = 0;
  end_ = rest.size();
}

bool input_buffer::grow(std::size_t bytes) noexcept {
  assert(bytes > capacity_);
  std::unique_ptr<char[]> fresh{new (std::nothrow) char[bytes]}; // on purpose not zero-filled
  if (!fresh) return false;
  const std::string_view rest = unused();
  std::memcpy(fresh.get(), rest.data(), rest.size());
  begin_ = 0;
  end_ = rest.size();
  large_ = std::move(fresh);
  data_ = large_.get();
  capacity_ = bytes;
  return true;
}

void input_buffer::shrink() noexcept {
  assert(empty());
  large_.reset();
  data_ = small_.data();
  capacity_ = idle_bytes;
  begin_ = end_ = 0;
}

} // namespace kvcache::http
