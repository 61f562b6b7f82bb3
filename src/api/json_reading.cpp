#include "api/json_reading.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>
#include <system_error>

#include "api/json_cursor.hpp"
#include "http/ascii.hpp"
#include "http/http_limits.hpp"

namespace kvcache::http {
namespace {

// Where the JSON number ends that begins at the first byte (RFC 8259 §6); 0 if none does.
std::size_t number_bytes(std::string_view text) noexcept {
  std::size_t at = 0;
  const auto here = [&](char c) { return at < text.size() && text[at] == c; };
  const auto skip_digits = [&] {
    const std::size_t first = at;
    while (at < text.size() && is_decimal(text[at])) ++at;
    return at != first;
  };
  if (here('-')) ++at;
  if (here('0'))
    ++at;
  else if (!skip_digits())
    return 0;
  if (here('.')) {
    ++at;
    if (!skip_digits()) return 0;
  }
  if (here('e') || here('E')) {
    ++at;
    if (here('+') || here('-')) ++at;
    if (!skip_digits()) return 0;
  }
  return at;
}

// A number without its sign is `digits` (significant ones only) times 10^scale.
struct decimal {
  std::uint64_t digits = 0;
  std::int64_t digit_count = 0;
  std::int64_t scale = 0;
};

constexpr std::int64_t most_digits = 19; // of a signed number of 64 bits; any 19 fit unsigned

// Nothing if it has more significant digits: too large, or not whole, or both.
std::optional<decimal> read_decimal(std::string_view text) noexcept {
  decimal read;
  std::int64_t zeros = 0; // at the end, not yet part of the digits
  bool fraction = false;
  std::size_t at = 0;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (!is_decimal(text[at])) {
      fraction = true;
      continue;
    }
    if (fraction) --read.scale;
    if (text[at] == '0') {
      if (read.digit_count != 0) ++zeros;
      continue;
    }
    read.digit_count += zeros + 1;
    if (read.digit_count > most_digits) return std::nullopt;
    for (; zeros != 0; --zeros) read.digits *= 10;
    read.digits = read.digits * 10 + static_cast<std::uint64_t>(text[at] - '0');
  }
  read.scale += zeros;
  if (at == text.size()) return read;

  ++at;
  const bool negative = text[at] == '-';
  if (!is_decimal(text[at])) ++at;
  constexpr std::int64_t endless = std::int64_t{1} << 48; // more than a body has digits
  std::int64_t exponent = 0;
  for (; at < text.size(); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), endless);
  read.scale += negative ? -exponent : exponent;
  return read;
}

} // namespace

std::optional<std::int64_t> whole_number(std::string_view text) noexcept {
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  std::optional<decimal> read = read_decimal(text);
  if (!read) return std::nullopt;
  if (read->digit_count == 0) return 0;
  if (read->scale < 0 || read->digit_count + read->scale > most_digits) return std::nullopt;
  for (; read->scale != 0; --read->scale) read->digits *= 10;
  constexpr auto most = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (read->digits > most + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - read->digits : read->digits);
}

std::optional<std::chrono::seconds> whole_seconds(std::string_view text) noexcept {
  const std::optional<std::int64_t> seconds = whole_number(text);
  if (!seconds || *seconds < 1 || *seconds > max_ttl_s) return std::nullopt;
  return std::chrono::seconds{*seconds};
}

refusal refuse_unreadable(std::string_view text) noexcept {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (std::all_of(text.begin(), text.end(), is_json_space)) return {fault::empty_body};
  // nlohmann skips the former and takes the latter for the end of the text.
  if (text.starts_with(byte_order_mark)) return {fault::byte_order_mark};
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return {fault::invalid_json, nul + 1};
  return {};
}

std::string without_unbounded_numbers(std::string_view text) {
  constexpr std::string_view stand_in = "-1.5";
  std::string copy(text);
  for (std::size_t at = 0; at < copy.size(); ++at) {
    if (copy[at] == '"') {
      for (++at; at < copy.size() && copy[at] != '"'; ++at)
        if (copy[at] == '\\') ++at;
      continue;
    }
    const std::size_t bytes = number_bytes(std::string_view(copy).substr(at));
    if (bytes == 0) continue;
    char* const first = copy.data() + at;
    double value = 0;
    if (std::from_chars(first, first + bytes, value).ec == std::errc::result_out_of_range &&
        bytes > stand_in.size()) {
      std::fill(std::copy(stand_in.begin(), stand_in.end(), first), first + bytes, ' ');
    }
    at += bytes - 1;
  }
  return copy;
}

} // namespace kvcache::http
