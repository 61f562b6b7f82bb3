// Eight bytes at a time in an ordinary register ("SIMD within a register"): works on every machine
// the compiler knows, and is half of what the vector units would give for strings of this length.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kvcache::http::swar {

inline constexpr std::size_t word_bytes = sizeof(std::uint64_t);

constexpr std::uint64_t each(unsigned char byte) noexcept { return 0x0101010101010101U * byte; }

inline constexpr std::uint64_t high_bits = each(0x80);

inline std::uint64_t load(const char* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// Marks (by its high bit) each byte that is zero. Exact up to the first mark, in the order of
// significance; above it a borrow may set marks that mean nothing. No mark at all is always exact.
constexpr std::uint64_t zero_bytes(std::uint64_t word) noexcept {
  return (word - each(1)) & ~word & high_bits;
}

// The same for bytes below `bound`, which is at most 0x80.
constexpr std::uint64_t bytes_below(std::uint64_t word, unsigned char bound) noexcept {
  return (word - each(bound)) & ~word & high_bits;
}

constexpr std::uint64_t bytes_equal_to(std::uint64_t word, char byte) noexcept {
  return zero_bytes(word ^ each(static_cast<unsigned char>(byte)));
}

// What cannot stand for itself in a JSON string: quote, backslash, control characters.
constexpr std::uint64_t special_in_json(std::uint64_t word) noexcept {
  return bytes_below(word, 0x20) | bytes_equal_to(word, '"') | bytes_equal_to(word, '\\');
}

// What ends a request target: the space and what is below it, and DEL.
constexpr std::uint64_t not_in_target(std::uint64_t word) noexcept {
  return bytes_below(word, 0x21) | bytes_equal_to(word, '\x7F');
}

// What keeps a query's text from standing for itself.
constexpr std::uint64_t special_in_query(std::uint64_t word) noexcept {
  return bytes_equal_to(word, '&') | bytes_equal_to(word, '%') | bytes_equal_to(word, '+') |
         (word & high_bits);
}

// Whether the order in memory is the order of significance, so that the first mark can be counted
// to.
inline constexpr bool first_is_lowest = std::endian::native == std::endian::little;

// Index in memory of the lowest mark. REQUIRES: marks != 0 and first_is_lowest.
inline std::size_t first_mark(std::uint64_t marks) noexcept {
  return static_cast<std::size_t>(std::countr_zero(marks)) / 8;
}

} // namespace kvcache::http::swar
