// Operations on eight bytes at a time in an ordinary register ("SIMD within a register"). Portable,
// and sufficient for strings of this length.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace kvcache::http::swar {

inline constexpr std::size_t word_bytes = sizeof(std::uint64_t);

constexpr std::uint64_t each(unsigned char byte) noexcept { return 0x0101010101010101U * byte; }

inline constexpr std::uint64_t high_bits = each(0x80);

inline std::uint64_t load(const char* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// The two building blocks. The high bit of each byte of the result is set if the byte is below
// `bound` (at most 0x80), or equal to `byte` (an ASCII one), provided that its own high bit is
// clear. Exact up to the first hit, in the order of significance; above it a borrow may set further
// bits. No hit at all is always exact.
constexpr std::uint64_t below(std::uint64_t word, unsigned char bound) noexcept {
  return word - each(bound);
}
constexpr std::uint64_t equal_to(std::uint64_t word, char byte) noexcept {
  return (word ^ each(static_cast<unsigned char>(byte))) - each(1);
}

// The bytes that need an escape in a JSON string: quote, backslash, control characters. With bit 1
// inverted, the quote (0x22) directly follows the control characters, so one comparison finds both.
constexpr std::uint64_t special_in_json(std::uint64_t word) noexcept {
  constexpr unsigned char turned = 0x02;
  constexpr unsigned char quote = '"' ^ turned;
  static_assert(quote == 0x20, "right behind the last control character");
  return (below(word ^ each(turned), quote + 1) | equal_to(word, '\\')) & ~word & high_bits;
}

// The bytes that end a request target: the space and those below it, and DEL.
constexpr std::uint64_t not_in_target(std::uint64_t word) noexcept {
  return (below(word, 0x21) | equal_to(word, '\x7F')) & ~word & high_bits;
}

// The bytes that end the plain part of a query, which is the same in a target, decoded, and in
// JSON: those that end a target, separate parameters, begin a fragment or an escape, are not ASCII,
// or need an escape in JSON. It includes some harmless ones (!$'()*) between those.
constexpr std::uint64_t not_plain_in_query(std::uint64_t word) noexcept {
  constexpr unsigned char first_plain = '+' + 1;
  return (below(word, first_plain) | equal_to(word, '\\') | equal_to(word, '\x7F') | word) &
         high_bits;
}

// The same of a path, which a question mark ends.
constexpr std::uint64_t not_plain_in_path(std::uint64_t word) noexcept {
  return not_plain_in_query(word) | (equal_to(word, '?') & high_bits);
}

// The bytes of a field's value that are neither visible ASCII nor a space.
constexpr std::uint64_t not_plain_in_value(std::uint64_t word) noexcept {
  return (below(word, 0x20) | equal_to(word, '\x7F') | word) & high_bits;
}

// The bytes that decoding a query changes or checks: those that are not ASCII, and three that are.
constexpr std::uint64_t special_in_query(std::uint64_t word) noexcept {
  return (equal_to(word, '&') | equal_to(word, '%') | equal_to(word, '+') | word) & high_bits;
}

// Whether `marks_in`, one of those above, marks no byte of the text; the last word overlaps the one
// before it. REQUIRES: text.size() >= word_bytes.
template <class Marks>
bool none_marked(std::string_view text, Marks marks_in) noexcept {
  const std::size_t last = text.size() - word_bytes;
  for (std::size_t i = 0; i < last; i += word_bytes)
    if (marks_in(load(text.data() + i)) != 0) return false;
  return marks_in(load(text.data() + last)) == 0;
}

// All bytes of a text of 4 to 8 bytes in one word, some of them twice. REQUIRES: such a size.
inline std::uint64_t load_short(std::string_view text) noexcept {
  std::uint32_t first;
  std::uint32_t last;
  std::memcpy(&first, text.data(), sizeof first);
  std::memcpy(&last, text.data() + text.size() - sizeof last, sizeof last);
  return std::uint64_t{first} | std::uint64_t{last} << 32;
}

// Whether the order in memory is the order of significance, which first_mark() needs.
inline constexpr bool first_is_lowest = std::endian::native == std::endian::little;

// Index in memory of the lowest mark. REQUIRES: marks != 0 and first_is_lowest.
inline std::size_t first_mark(std::uint64_t marks) noexcept {
  return static_cast<std::size_t>(std::countr_zero(marks)) / 8;
}

} // namespace kvcache::http::swar
