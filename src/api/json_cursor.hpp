// Reads JSON text of the ordinary shape in a single pass: strings without escapes, small whole
// numbers. Every function declines (false) at the first byte that is not ordinary, valid or not; a
// careful reader then starts from the beginning. So all refusals come from the careful one.
//
// Thread-safety: none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/ascii.hpp"
#include "http/http_limits.hpp"
#include "http/swar.hpp"
#include "http/utf8.hpp"

namespace kvcache::http {

constexpr bool is_json_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r'; // RFC 8259 §2, nothing else
}

// Finds the first quote, backslash or control character from `at` on; null if there is none. `seen`
// gets the OR of all bytes before it (and perhaps some behind), to detect bytes that are not ASCII.
// REQUIRES: a whole word before `end` may be read.
inline const char* find_special(const char* at, const char* end, std::uint64_t& seen) noexcept {
  if constexpr (swar::first_is_lowest) {
    for (; end - at >= static_cast<std::ptrdiff_t>(swar::word_bytes); at += swar::word_bytes) {
      const std::uint64_t word = swar::load(at);
      const std::uint64_t marks = swar::special_in_json(word);
      seen |= word;
      if (marks != 0) return at + swar::first_mark(marks);
    }
    if (at == end) return nullptr;
    // The last few bytes, with zeros behind them, which are marked too.
    const auto left = static_cast<std::size_t>(end - at);
    const std::uint64_t word = swar::load(end - swar::word_bytes) >> 8 * (swar::word_bytes - left);
    seen |= word;
    const std::size_t first = swar::first_mark(swar::special_in_json(word));
    return first < left ? at + first : nullptr;
  }
  for (; at != end; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"' || byte == '\\' || byte < 0x20) return at;
    seen |= byte; // its high bit is one of swar::high_bits
  }
  return nullptr;
}

class json_cursor {
public:
  explicit json_cursor(std::string_view text) noexcept
      : at_(text.data()),
        // A text shorter than a word is never ordinary: see find_special.
        end_(text.data() + (text.size() < swar::word_bytes ? 0 : text.size())) {}

protected:
  bool take(char expected) noexcept {
    skip_spaces();
    if (at_ == end_ || *at_ != expected) return false;
    ++at_;
    return true;
  }

  bool is_at_end() noexcept {
    skip_spaces();
    return at_ == end_;
  }

  bool read_string(std::string_view& out) noexcept {
    if (!take('"')) return false;
    const char* const first = at_;
    std::uint64_t seen = 0;
    const char* const last = find_special(first, end_, seen);
    if (last == nullptr || *last != '"') return false;
    out = {first, static_cast<std::size_t>(last - first)};
    at_ = last + 1;
    return (seen & swar::high_bits) == 0 || utf8::is_valid(out);
  }

  bool read_ttl(std::optional<std::chrono::seconds>& out) noexcept {
    std::int64_t seconds = 0;
    if (!read_whole(seconds) || seconds < 1 || seconds > max_ttl_s) return false;
    out = std::chrono::seconds(seconds);
    return true;
  }

  // A fraction or an exponent behind it is not the ',' or '}' that must follow.
  bool read_whole(std::int64_t& out) noexcept {
    skip_spaces();
    constexpr int most_digits = 9;
    const bool negative = at_ != end_ && *at_ == '-';
    if (negative) ++at_;
    const char* const first = at_;
    std::int64_t number = 0;
    for (; at_ != end_ && is_decimal(*at_); ++at_) {
      if (at_ - first == most_digits) return false;
      number = number * 10 + (*at_ - '0');
    }
    if (at_ == first || (*first == '0' && at_ - first > 1)) return false;
    out = negative ? -number : number;
    return true;
  }

private:
  void skip_spaces() noexcept {
    while (at_ != end_ && is_json_space(*at_)) ++at_;
  }

  const char* at_;
  const char* end_;
};

} // namespace kvcache::http
