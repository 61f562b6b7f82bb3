// Parsers of the kernel's text files, which are not trusted: every function accepts any bytes and
// returns a value or nothing. None throws, none reads past its view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache::text {

// Removes the text up to the next `separator` (or the end) from the front of `rest` and returns it.
// Nothing once `rest` is consumed; an empty piece between two separators is a piece.
std::optional<std::string_view> take_until(std::string_view& rest, char separator) noexcept;

// Without blanks, tabs and line ends at both sides.
std::string_view trim(std::string_view text) noexcept;

// Decimal digits only, blanks around them allowed; nothing for a sign, a unit, an overflow, or no
// digits.
std::optional<std::uint64_t> parse_unsigned(std::string_view text) noexcept;

// The value of the line "<name> <number>" as memory.stat and its relatives have it.
std::optional<std::uint64_t> find_stat(std::string_view text, std::string_view name) noexcept;

// The bytes of the line "<name>:   <number> kB" as /proc/meminfo and /proc/self/status have it.
std::optional<std::uint64_t> find_kib(std::string_view text, std::string_view name) noexcept;

// a − b, and 0 where b is larger: two kernel counters are never read at the same moment.
constexpr std::uint64_t saturating_subtract(std::uint64_t a, std::uint64_t b) noexcept {
  return a > b ? a - b : 0;
}

constexpr std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) noexcept {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

} // namespace kvcache::text
