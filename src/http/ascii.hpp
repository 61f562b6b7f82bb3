// Operations on ASCII text that HTTP's grammar needs. Independent of the locale.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace kvcache::http {

// A set of byte values, looked up in constant time.
class byte_set {
public:
  constexpr explicit byte_set(std::string_view bytes) noexcept {
    for (const char c : bytes) contains_[static_cast<unsigned char>(c)] = true;
  }
  constexpr bool contains(char c) const noexcept {
    return contains_[static_cast<unsigned char>(c)];
  }

private:
  std::array<bool, 256> contains_{};
};

constexpr bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool is_hex_digit(char c) noexcept {
  return is_decimal(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; } // OWS, RFC 9110 §5.6.3

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_lower(x) == to_lower(y); });
}

// The text without blanks at either end.
constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Removes the first element from a comma-separated list and returns it (RFC 9110 §5.6.1). Elements
// may be empty.
constexpr std::string_view next_element(std::string_view& list) noexcept {
  const std::size_t comma = list.find(',');
  const std::string_view element = trimmed(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return element;
}

} // namespace kvcache::http
