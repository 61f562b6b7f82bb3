#include "api/body_upload.hpp"

#include "http/utf8.hpp"

namespace kvcache::http {

void body_upload::commit(std::size_t bytes) noexcept {
  constexpr std::size_t longest_character = 4;
  to_.commit(bytes);
  const std::string_view all = to_.written();
  tags_.add(all.substr(all.size() - bytes));
  if (!may_be_utf8_) return;
  checked_bytes_ += utf8::valid_prefix(all.substr(checked_bytes_));
  may_be_utf8_ = all.size() - checked_bytes_ < longest_character; // the last one may be incomplete
}

} // namespace kvcache::http
