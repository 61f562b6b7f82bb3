#include "http/json_text.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "http/swar.hpp"

namespace kvcache::http::json {
namespace {

// Per byte: 0 = unescaped, 'u' = \u00XX, else the letter behind the backslash. RFC 8259 §7.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> escapes{};
  for (std::size_t control = 0; control < 0x20; ++control) escapes[control] = 'u';
  escapes['\b'] = 'b';
  escapes['\f'] = 'f';
  escapes['\n'] = 'n';
  escapes['\r'] = 'r';
  escapes['\t'] = 't';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}
constexpr std::array<char, 256> escapes = make_escapes();

// Whether nothing in it needs escaping. Short texts in a register's width; longer ones sixteen
// bytes at a time, in a form that compilers turn into a handful of vector instructions on every
// machine that has them; the last sixteen overlap those before.
bool is_plain(std::string_view text) noexcept {
  constexpr std::size_t step = 16;
  constexpr std::size_t short_bytes = 4 * swar::word_bytes; // beyond, the vectors' set-up pays
  if (text.size() < swar::word_bytes) {
    for (const char c : text)
      if (escapes[static_cast<unsigned char>(c)] != 0) return false;
    return true;
  }
  if (text.size() <= short_bytes) return swar::none_marked(text, swar::special_in_json);
  const auto* const data = reinterpret_cast<const unsigned char*>(text.data());
  std::array<unsigned char, step> found{};
  const auto look = [&](const unsigned char* from) noexcept {
    for (std::size_t i = 0; i < step; ++i) {
      const unsigned char byte = from[i];
      const bool special = (byte < 0x20) | (byte == '"') | (byte == '\\');
      found[i] = static_cast<unsigned char>(found[i] | special);
    }
  };
  const std::size_t last = text.size() - step;
  for (std::size_t i = 0; i < last; i += step) look(data + i);
  look(data + last);
  unsigned char any = 0;
  for (const unsigned char one : found) any = static_cast<unsigned char>(any | one);
  return any == 0;
}

} // namespace

std::size_t escaped_size_of_any(std::string_view text) noexcept {
  if (is_plain(text)) return text.size();
  std::size_t size = text.size();
  for (const char c : text) {
    const char escape = escapes[static_cast<unsigned char>(c)];
    if (escape != 0) size += escape == 'u' ? max_escape_bytes - 1 : 1;
  }
  return size;
}

char* write_with_escapes(char* out, std::string_view text) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const char escape = escapes[byte];
    if (escape == 0) {
      *out++ = c;
      continue;
    }
    *out++ = '\\';
    *out++ = escape;
    if (escape == 'u') {
      *out++ = '0';
      *out++ = '0';
      *out++ = digits[byte >> 4];
      *out++ = digits[byte & 15];
    }
  }
  return out;
}

} // namespace kvcache::http::json
