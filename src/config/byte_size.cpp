#include "config/byte_size.hpp"

#include <charconv>
#include <limits>
#include <system_error>

namespace kvcache::config {

namespace {

constexpr std::string_view unit_letters = "KMGT"; // each is 1024 times the one before

constexpr char to_upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// The power of two that the unit multiplies by.
std::optional<unsigned> unit_shift(std::string_view unit) noexcept {
  if (unit.empty()) return 0;
  if (unit.size() == 1 && to_upper(unit[0]) == 'B') return 0;
  const auto position = unit_letters.find(to_upper(unit[0]));
  if (position == std::string_view::npos) return std::nullopt;
  const std::string_view rest = unit.substr(1);
  const bool known_ending =
      rest.empty() || (rest.size() == 1 && to_upper(rest[0]) == 'B') ||
      (rest.size() == 2 && to_upper(rest[0]) == 'I' && to_upper(rest[1]) == 'B');
  if (!known_ending) return std::nullopt;
  return static_cast<unsigned>(10 * (position + 1));
}

} // namespace

std::optional<std::uint64_t> parse_byte_size(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{}) return std::nullopt;
  const auto shift = unit_shift(text.substr(static_cast<std::size_t>(end - text.data())));
  if (!shift || number > std::numeric_limits<std::uint64_t>::max() >> *shift) return std::nullopt;
  return number << *shift;
}

std::string format_byte_size(std::uint64_t bytes) {
  std::size_t units = 0;
  while (units < unit_letters.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++units;
  }
  std::string text = std::to_string(bytes);
  if (units > 0) text += unit_letters[units - 1];
  return text;
}

} // namespace kvcache::config
