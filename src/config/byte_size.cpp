#include "config/byte_size.hpp"

#include <charconv>
#include <limits>
#include <system_error>

#include "http/ascii.hpp"

namespace kvcache::config {

namespace {

constexpr std::string_view unit_letters = "KMGT"; // each is 1024 times the one before

// The power of two that the unit multiplies by.
std::optional<unsigned> unit_shift(std::string_view unit) noexcept {
  using http::equal_ignoring_case;
  if (unit.empty() || equal_ignoring_case(unit, "B")) return 0;
  const auto position = std::string_view{"kmgt"}.find(http::to_lower(unit[0]));
  const std::string_view rest = unit.substr(1);
  const bool known_ending =
      rest.empty() || equal_ignoring_case(rest, "B") || equal_ignoring_case(rest, "IB");
  if (position == std::string_view::npos || !known_ending) return std::nullopt;
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
