// Strings as JSON text, the writing half: what the store holds raw goes out escaped.
//
// Decision: values are stored as the raw bytes they stand for and are escaped while they are copied
// into the reply. Storing them escaped would save the scan below (about one and a half instructions
// a byte) but cost memory for every quote and control character, and every other reader of the
// store (compare and swap, library users) would have to unescape. Nearly all values need no escape:
// for them it is one pass over sixteen bytes at a time and one memcpy.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace kvcache::http::json {

// The longest escape, \u00XX.
inline constexpr std::size_t max_escape_bytes = 6;

// Bytes that `text` takes between the quotes of a JSON string; text.size() if nothing needs
// escaping.
std::size_t escaped_size(std::string_view text) noexcept;

// For write_escaped, where something needs an escape.
char* write_with_escapes(char* out, std::string_view text) noexcept;

// Writes the escaped text, which takes `size` bytes, and returns the end of what was written.
// REQUIRES: size == escaped_size(text), and that much room at `out`.
inline char* write_escaped(char* out, std::string_view text, std::size_t size) noexcept {
  if (size != text.size()) return write_with_escapes(out, text);
  if (size != 0) std::memcpy(out, text.data(), size);
  return out + size;
}

} // namespace kvcache::http::json
