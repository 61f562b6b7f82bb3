// UTF-8 as Unicode defines it (table 3-7: no overlong forms, no surrogates, nothing above
// U+10FFFF). Pure, allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace kvcache::http::utf8 {

// Offset of the first byte that is not part of a well-formed sequence; text.size() if all is well.
std::size_t valid_prefix(std::string_view text) noexcept;

inline bool is_valid(std::string_view text) noexcept { return valid_prefix(text) == text.size(); }

// Characters (code points) in it. REQUIRES: is_valid(text).
std::size_t count_chars(std::string_view text) noexcept;

// Whether it has more than `limit` characters; reads the bytes only if their number does not
// decide. REQUIRES: is_valid(text).
inline bool longer_than(std::string_view text, std::size_t limit) noexcept {
  return text.size() > limit && count_chars(text) > limit;
}

} // namespace kvcache::http::utf8
