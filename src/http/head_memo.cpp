#include "http/head_memo.hpp"

#include <boost/beast/http/field.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "http/ascii.hpp"
#include "http/known_field.hpp"
#include "http/swar.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

// Whether a byte may stand in a target: all above the space but DEL, as Beast has it.
constexpr bool may_stand_in_target(char byte) noexcept {
  return static_cast<unsigned char>(byte) > ' ' && byte != '\x7F';
}

// Visible ASCII and spaces. Other legal bytes of a value are left to the parser.
constexpr bool is_plain_in_value(char byte) noexcept { return byte >= ' ' && byte < '\x7F'; }

// The offset, at `i` or behind, of the first byte that is not `good`, which `marks_in` marks.
template <class Marks, class Good>
std::size_t end_of(std::string_view text, std::size_t i, Marks marks_in, Good good) noexcept {
  for (; text.size() - i >= swar::word_bytes; i += swar::word_bytes) {
    const std::uint64_t marks = marks_in(swar::load(text.data() + i));
    if (marks == 0) continue;
    if constexpr (!swar::first_is_lowest) break;
    return i + swar::first_mark(marks);
  }
  while (i < text.size() && good(text[i])) ++i;
  return i;
}

// Where the target ends that goes on at `i`.
std::size_t target_end(std::string_view text, std::size_t i) noexcept {
  return end_of(text, i, swar::not_in_target, may_stand_in_target);
}

std::size_t value_end(std::string_view text, std::size_t i) noexcept {
  return end_of(text, i, swar::not_plain_in_value, is_plain_in_value);
}

// Where the first byte is that is not plain, at `i` or behind; where there are few bytes left,
// perhaps one before it.
std::size_t plain_end(std::string_view text, std::size_t i) noexcept {
  if constexpr (!swar::first_is_lowest) return i;
  for (; text.size() - i >= swar::word_bytes; i += swar::word_bytes) {
    const std::uint64_t marks = swar::not_plain_in_query(swar::load(text.data() + i));
    if (marks != 0) return i + swar::first_mark(marks);
  }
  return i;
}

// Reads the length at `i` and returns where it ends; `i` where the parser has to read it.
std::size_t read_length(std::string_view text, std::size_t i, std::size_t& length) noexcept {
  constexpr std::size_t most_digits = 9; // longer ones, and leading zeros, are left to the parser
  const std::size_t first = i;
  length = 0;
  for (; i - first < most_digits && i < text.size() && is_decimal(text[i]); ++i)
    length = length * 10 + static_cast<std::size_t>(text[i] - '0');
  return i - first > 1 && text[first] == '0' ? first : i;
}

std::size_t common_prefix(std::string_view a, std::string_view b) noexcept {
  const std::size_t bytes = std::min(a.size(), b.size());
  std::size_t i = 0;
  if constexpr (swar::first_is_lowest) {
    for (; bytes - i >= swar::word_bytes; i += swar::word_bytes) {
      const std::uint64_t difference = swar::load(a.data() + i) ^ swar::load(b.data() + i);
      if (difference != 0) return i + swar::first_mark(difference);
    }
  }
  while (i < bytes && a[i] == b[i]) ++i;
  return i;
}

} // namespace

std::optional<head_memo::gap> head_memo::differing_value(std::string_view before,
                                                         std::string_view now) noexcept {
  const std::size_t at = common_prefix(before, now);
  if (at == before.size() && at == now.size()) return gap{};
  const std::size_t line = now.substr(0, at).rfind('\n') + 1;
  const std::size_t colon = now.substr(0, at).find(':', line);
  if (colon == std::string_view::npos) return std::nullopt;
  const std::size_t end_before = before.find('\r', at);
  const std::size_t end = now.find('\r', at);
  if (end_before == std::string_view::npos || end == std::string_view::npos ||
      before.substr(end_before) != now.substr(end))
    return std::nullopt;
  const std::string_view name = now.substr(line, colon - line);
  const auto field = boost::beast::http::string_to_field({name.data(), name.size()});
  if (known_field_of(field) != known_field::none) return std::nullopt;
  return gap{colon + 1, end};
}

// The value that varies, in `tail`, if that means the same as the remembered tail except for the
// length; nothing if it may mean something else.
std::optional<head_memo::gap> head_memo::varying_value(std::string_view tail,
                                                       const gap& length) const noexcept {
  const std::string_view remembered(tail_.data(), tail_bytes_);
  const std::optional<gap> first =
      differing_value(remembered.substr(0, length_.begin), tail.substr(0, length.begin));
  if (!first) return std::nullopt;
  const std::optional<gap> second =
      differing_value(remembered.substr(length_.end), tail.substr(length.end));
  if (!second || (first->exists() && second->exists())) return std::nullopt;
  if (first->exists()) return first;
  if (second->exists()) return gap{length.end + second->begin, length.end + second->end};
  if (varying_.begin < length_.begin) return varying_;
  return gap{varying_.begin - length_.end + length.end, varying_.end - length_.end + length.end};
}

// What the copy of the tail says where `tail` says `piece`.
std::string_view head_memo::copied(std::string_view piece, std::string_view tail) const noexcept {
  if (piece.data() == nullptr) return {};
  return {tail_.data() + (piece.data() - tail.data()), piece.size()};
}

void head_memo::learn(std::string_view input, std::size_t head_end, const request& got) noexcept {
  const bool remembers = least_bytes_ != nothing;
  least_bytes_ = nothing;
  const bool plain = got.form == target_form::origin && got.method_text.data() == input.data() &&
                     got.framing != body_framing::chunked;
  if (!plain) return;
  const std::size_t target_at = got.method_text.size() + 1;
  const bool has_query = got.path.size() < got.target.size();
  const std::size_t start_bytes = target_at + got.path.size() + (has_query ? 1 : 0);
  if (start_bytes > sizeof start_ || (has_query && input[start_bytes - 1] != '?')) return;

  const std::string_view tail = input.substr(0, head_end).substr(target_at + got.target.size());
  if (tail.size() > tail_.size()) return;
  const bool has_length = got.framing == body_framing::content_length;
  gap length{tail.size(), tail.size()};
  if (has_length) {
    const std::string_view digits = got[known_field::content_length];
    length.begin = static_cast<std::size_t>(digits.data() - tail.data());
    length.end = length.begin + digits.size();
  }
  // While no value is known to vary, only one head in eight is compared with the one before: a
  // client whose heads differ in more pays little.
  constexpr unsigned heads_per_comparison = 8;
  std::optional<gap> varying;
  if (remembers && (varying_.exists() || unrecognised_++ % heads_per_comparison == 0) &&
      start_bytes == start_bytes_ && begins(input))
    varying = varying_value(tail, length);
  if (!varying) granted_ = {};
  varying_ = varying.value_or(gap{});
  std::memcpy(tail_.data(), tail.data(), tail.size());

  like_ = got;
  like_.host = copied(got.host, tail);
  for (std::string_view& value : like_.fields) value = copied(value, tail);
  like_.granted = &granted_;

  start_mask_ = {};
  std::memset(start_mask_.data(), 0xFF, start_bytes);
  for (std::size_t i = 0; i < most_start_words; ++i)
    start_[i] =
        swar::load(input.data() + i * swar::word_bytes) & start_mask_[i]; // heads are longer
  start_bytes_ = start_bytes;
  has_query_ = has_query;
  has_length_ = has_length;
  length_ = length;
  tail_body_bytes_ = has_length ? got.body.size() : 0;
  tail_bytes_ = tail.size();
  whole_tail_bytes_ = varying_.exists() ? nothing : tail_bytes_;
  least_bytes_ = sizeof start_;
}

bool head_memo::begins(std::string_view input) const noexcept {
  std::uint64_t differences = 0;
  for (std::size_t i = 0; i < most_start_words; ++i)
    differences |= (swar::load(input.data() + i * swar::word_bytes) & start_mask_[i]) ^ start_[i];
  return differences == 0;
}

// Whether `rest`, what follows the target, begins as the remembered head ends; the length and the
// value that varies may differ. Sets where the head ends there, and the length.
bool head_memo::ends(std::string_view rest, std::size_t& end,
                     std::size_t& body_bytes) const noexcept {
  if (rest.size() >= whole_tail_bytes_ &&
      std::memcmp(rest.data(), tail_.data(), whole_tail_bytes_) == 0) {
    end = whole_tail_bytes_;
    body_bytes = tail_body_bytes_;
    return true;
  }
  return (has_length_ || varying_.exists()) && ends_with_gaps(rest, end, body_bytes);
}

bool head_memo::ends_with_gaps(std::string_view rest, std::size_t& end,
                               std::size_t& body_bytes) const noexcept {
  std::size_t at = 0;       // offset in `rest`
  std::size_t compared = 0; // offset in the tail
  std::size_t length = 0;
  const auto goes_on_to = [&](std::size_t stop) noexcept {
    const char* const here = rest.data() + at;
    const std::size_t bytes = stop - compared;
    if (rest.size() - at < bytes) return false;
    at += bytes;
    return std::memcmp(here, tail_.data() + compared, bytes) == 0;
  };
  const auto skips_length = [&]() noexcept {
    if (!goes_on_to(length_.begin)) return false;
    const std::size_t begin = at;
    at = read_length(rest, begin, length);
    compared = length_.end;
    return at != begin;
  };
  const bool length_first = length_.begin < varying_.begin;
  if (has_length_ && length_first && !skips_length()) return false;
  if (varying_.exists()) {
    if (!goes_on_to(varying_.begin)) return false;
    at = value_end(rest, at);
    compared = varying_.end;
  }
  if (has_length_ && !length_first && !skips_length()) return false;
  if (!goes_on_to(tail_bytes_)) return false;
  end = at;
  body_bytes = length;
  return true;
}

std::string_view head_memo::guess_query(std::string_view input) const noexcept {
  if (input.size() < least_bytes_ || !has_query_ || !begins(input)) return {};
  return input.substr(start_bytes_, plain_end(input, start_bytes_) - start_bytes_);
}

std::size_t head_memo::recognise(std::string_view input, const http_limits& limits) noexcept {
  if (input.size() < least_bytes_ || !begins(input)) return 0;

  std::size_t target_stop = start_bytes_;
  bool plain = false;
  if (has_query_) {
    target_stop = plain_end(input, target_stop);
    plain = target_stop < input.size() && input[target_stop] == ' ';
    if (!plain) target_stop = target_end(input, target_stop);
  }
  const std::string_view rest(input.data() + target_stop, input.size() - target_stop);
  std::size_t fields_end = 0;
  std::size_t body_bytes = 0;
  if (!ends(rest, fields_end, body_bytes)) return 0;
  const std::size_t head_end = target_stop + fields_end;
  const std::size_t target_start = like_.method_text.size() + 1;
  if (target_stop - target_start > limits.target_bytes || head_end > limits.head_bytes ||
      body_bytes > limits.body_bytes || input.size() - head_end < body_bytes)
    return 0;

  const char* const text = input.data();
  like_.method_text = {text, like_.method_text.size()};
  like_.target = {text + target_start, target_stop - target_start};
  like_.path = {text + target_start, like_.path.size()};
  if (has_query_) {
    like_.query = {{text + start_bytes_, target_stop - start_bytes_}, plain};
    if (!plain) like_.query.text = without_fragment(like_.query.text);
  }
  if (has_length_) like_.body = {text + head_end, body_bytes};
  return head_end + body_bytes;
}

} // namespace kvcache::http
