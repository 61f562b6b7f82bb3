#include "http/base64.hpp"

#include <array>
#include <cstdint>

namespace kvcache::http::base64 {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t no_digit = 64;

constexpr std::array<std::uint8_t, 256> digits = [] {
  std::array<std::uint8_t, 256> of{};
  of.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    of[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return of;
}();

constexpr std::uint32_t digit_of(char c) noexcept { return digits[static_cast<unsigned char>(c)]; }
constexpr std::uint32_t byte_of(char c) noexcept { return static_cast<unsigned char>(c); }
constexpr char symbol(std::uint32_t bits, unsigned shift) noexcept {
  return alphabet[(bits >> shift) & 63];
}

} // namespace

char* encode(char* to, std::string_view bytes) noexcept {
  for (; bytes.size() >= 3; bytes.remove_prefix(3)) {
    const std::uint32_t bits = byte_of(bytes[0]) << 16 | byte_of(bytes[1]) << 8 | byte_of(bytes[2]);
    *to++ = symbol(bits, 18);
    *to++ = symbol(bits, 12);
    *to++ = symbol(bits, 6);
    *to++ = symbol(bits, 0);
  }
  if (bytes.empty()) return to;
  const bool two = bytes.size() == 2;
  const std::uint32_t bits = byte_of(bytes[0]) << 16 | (two ? byte_of(bytes[1]) << 8 : 0U);
  *to++ = symbol(bits, 18);
  *to++ = symbol(bits, 12);
  *to++ = two ? symbol(bits, 6) : '=';
  *to++ = '=';
  return to;
}

std::optional<std::size_t> decoded_size(std::string_view text) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return text.size() / 4 * 3 - padding;
}

char* decode(char* to, std::string_view text) noexcept {
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t whole = padding == 0 ? text.size() : text.size() - 4;
  std::uint32_t all = 0; // one digit that is none shows in it
  for (std::size_t i = 0; i < whole; i += 4) {
    const std::uint32_t a = digit_of(text[i]);
    const std::uint32_t b = digit_of(text[i + 1]);
    const std::uint32_t c = digit_of(text[i + 2]);
    const std::uint32_t d = digit_of(text[i + 3]);
    all |= a | b | c | d;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    *to++ = static_cast<char>(bits >> 16);
    *to++ = static_cast<char>(bits >> 8);
    *to++ = static_cast<char>(bits);
  }
  if (padding != 0) {
    const std::uint32_t a = digit_of(text[whole]);
    const std::uint32_t b = digit_of(text[whole + 1]);
    const std::uint32_t c = padding == 1 ? digit_of(text[whole + 2]) : 0;
    all |= a | b | c;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6;
    const std::uint32_t unused = padding == 1 ? bits & 0xFF : bits & 0xFFFF;
    if (unused != 0) return nullptr;
    *to++ = static_cast<char>(bits >> 16);
    if (padding == 1) *to++ = static_cast<char>(bits >> 8);
  }
  return (all & no_digit) == 0 ? to : nullptr;
}

} // namespace kvcache::http::base64
