// Writes strings as JSON text.
//
// Values are stored raw and escaped while they are copied into the response. Storing them escaped
// would save the scan, but cost memory for every quote and control character, and every other
// reader of the store (compare and swap, library users) would have to unescape them. Nearly all
// values need no escape: for them it is one pass over sixteen bytes at a time and one memcpy.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "http/swar.hpp"

namespace kvcache::http::json {

// The longest escape, \u00XX.
inline constexpr std::size_t max_escape_bytes = 6;

// Bytes that `text` takes between the quotes of a JSON string; text.size() if nothing needs
// escaping.
inline std::size_t escaped_size(std::string_view text) noexcept;

// For escaped_size: of any text.
std::size_t escaped_size_of_any(std::string_view text) noexcept;

// For write_escaped, where something needs an escape.
char* write_with_escapes(char* out, std::string_view text) noexcept;

// Writes the escaped text, which takes `size` bytes, and returns the end of what was written.
// REQUIRES: size == escaped_size(text), and that much room at `out`.
inline char* write_escaped(char* out, std::string_view text, std::size_t size) noexcept {
  if (size != text.size()) return write_with_escapes(out, text);
  if (size != 0) std::memcpy(out, text.data(), size);
  return out + size;
}

// Most keys and many values are this short: decided here, without a call.
[[gnu::always_inline]] inline std::size_t escaped_size(std::string_view text) noexcept {
  constexpr std::size_t shortest = 4;
  if (text.size() >= shortest && text.size() <= 2 * swar::word_bytes) {
    const std::uint64_t marks =
        text.size() < swar::word_bytes
            ? swar::special_in_json(swar::load_short(text))
            : swar::special_in_json(swar::load(text.data())) |
                  swar::special_in_json(swar::load(text.data() + text.size() - swar::word_bytes));
    if (marks == 0) return text.size();
  }
  return escaped_size_of_any(text);
}

} // namespace kvcache::http::json
