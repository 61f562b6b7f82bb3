// Numbers as text, the same on every machine and in every locale.
#pragma once

#include <charconv>
#include <concepts>
#include <string>

namespace kvcache::observe {

// The shortest text that reads back as the same number.
template <class Number>
requires std::integral<Number> || std::floating_point<Number>
void append_number(std::string& out, Number value) {
  char text[32]; // enough for every 64-bit integer and every double in shortest form
  const std::to_chars_result result = std::to_chars(text, text + sizeof text, value);
  out.append(text, result.ptr);
}

} // namespace kvcache::observe
