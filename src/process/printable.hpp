// Escapes untrusted bytes for a log line or a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kvcache::config {

// Calls `take` with each character of printable(text).
template <class Take>
void for_each_printable(std::string_view text, Take&& take) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      if (c == '\\') take('\\');
      take(c);
    } else {
      for (const char shown : {'\\', 'x', digits[byte >> 4U], digits[byte & 0xfU]}) take(shown);
    }
  }
}

// The text with every byte but printable ASCII written as \xNN, and backslashes doubled: no line
// breaks, no terminal control, and the original can be reconstructed.
std::string printable(std::string_view text);

} // namespace kvcache::config
