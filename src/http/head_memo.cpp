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

// Any byte above the space except DEL, as Beast has it.
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

std::size_t target_end(std::string_view text, std::size_t i) noexcept {
  return end_of(text, i, swar::not_in_target, may_stand_in_target);
}

std::size_t value_end(std::string_view text, std::size_t i) noexcept {
  return end_of(text, i, swar::not_plain_in_value, is_plain_in_value);
}

// The offset, at `i` or behind, of the first byte that is not plain; near the end of the text
// perhaps of one before it.
template <class Marks>
std::size_t plain_end(std::string_view text, std::size_t i, Marks marks_in) noexcept {
  if constexpr (!swar::first_is_lowest) return i;
  for (; text.size() - i >= swar::word_bytes; i += swar::word_bytes) {
    const std::uint64_t marks = marks_in(swar::load(text.data() + i));
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

// The piece of the copied tail that corresponds to a piece of `tail`.
std::string_view head_memo::copied(std::string_view piece, std::string_view tail) const noexcept {
  if (piece.data() == nullptr) return {};
  return {tail_.data() + (piece.data() - tail.data()), piece.size()};
}

// After several heads in a row that were not recognised, one in eight is learnt: a client that
// never repeats a head pays little.
bool head_memo::is_worth_learning() noexcept {
  constexpr unsigned many = 8;
  if (like_.target.data() != nullptr) unrecognised_ = 0; // the last one was recognised
  return unrecognised_++ < many || unrecognised_ % many == 0;
}

// Sets how many bytes precede the variable part of the target.
head_memo::variable head_memo::variable_in(std::string_view input, const request& got,
                                           std::size_t& start_bytes) const noexcept {
  const std::size_t target_at = got.method_text.size() + 1;
  start_bytes = target_at + granted_.fixed_path_bytes;
  if (granted_.fixed_path_bytes != 0 && start_bytes <= std::min(start_bytes_, sizeof start_) &&
      std::memcmp(input.data(), start_.data(), start_bytes) == 0)
    return variable::path;
  start_bytes = target_at + got.path.size();
  if (got.path.size() == got.target.size()) return variable::none;
  ++start_bytes;
  return variable::query;
}

void head_memo::remember_start(std::string_view input, std::size_t bytes,
                               variable behind) noexcept {
  start_mask_ = {};
  std::memset(start_mask_.data(), 0xFF, std::min(bytes, sizeof start_));
  for (std::size_t i = 0; i < most_start_words; ++i) // heads are longer
    start_[i] = swar::load(input.data() + i * swar::word_bytes) & start_mask_[i];
  start_bytes_ = bytes;
  variable_ = behind;
  const bool comparable = bytes <= sizeof start_ &&
                          (behind != variable::query || input[bytes - 1] == '?'); // no fragment
  least_bytes_ = comparable ? sizeof start_ : nothing;
}

grant* head_memo::learn(std::string_view input, std::size_t head_end, const request& got) noexcept {
  if (!is_worth_learning()) return nullptr;
  const bool was_comparable = least_bytes_ != nothing;
  least_bytes_ = nothing;
  like_.target = {};
  const std::string_view tail(got.target.data() + got.target.size(),
                              input.data() + head_end - (got.target.data() + got.target.size()));
  if (got.form != target_form::origin || got.method_text.data() != input.data() ||
      got.framing == body_framing::chunked || tail.size() > tail_.size()) {
    granted_ = {};
    return nullptr;
  }
  std::size_t start_bytes = 0;
  const variable behind = variable_in(input, got, start_bytes);
  const bool has_length = got.framing == body_framing::content_length;
  gap length{tail.size(), tail.size()};
  if (has_length) {
    const std::string_view digits = got[known_field::content_length];
    length.begin = static_cast<std::size_t>(digits.data() - tail.data());
    length.end = length.begin + digits.size();
  }
  std::optional<gap> varying;
  if (was_comparable && behind == variable_ && start_bytes == start_bytes_ && begins(input))
    varying = varying_value(tail, length);
  if (!varying) granted_ = {};
  varying_ = varying.value_or(gap{});
  remember_start(input, start_bytes, behind);
  std::memcpy(tail_.data(), tail.data(), tail.size());

  like_ = got;
  like_.target = {};
  like_.host = copied(got.host, tail);
  like_.field_lines = copied(got.field_lines, tail);
  for (std::string_view& value : like_.fields) value = copied(value, tail);
  like_.granted = &granted_;

  has_length_ = has_length;
  length_ = length;
  tail_body_bytes_ = has_length ? got.body.size() : 0;
  tail_bytes_ = tail.size();
  whole_tail_bytes_ = varying_.exists() ? nothing : tail_bytes_;
  return &granted_;
}

bool head_memo::begins(std::string_view input) const noexcept {
  std::uint64_t differences = 0;
  for (std::size_t i = 0; i < most_start_words; ++i)
    differences |= (swar::load(input.data() + i * swar::word_bytes) & start_mask_[i]) ^ start_[i];
  return differences == 0;
}

// Whether `rest`, the input behind the target, begins as the remembered head ends, except for the
// length and the varying value. Sets the end of the head in `rest`, and the length.
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

std::string_view head_memo::guess_key(std::string_view input) const noexcept {
  if (input.size() < least_bytes_ || variable_ == variable::none || !begins(input)) return {};
  const bool in_query = variable_ == variable::query;
  const std::size_t end = in_query ? plain_end(input, start_bytes_, swar::not_plain_in_query)
                                   : plain_end(input, start_bytes_, swar::not_plain_in_path);
  const std::string_view text = input.substr(start_bytes_, end - start_bytes_);
  return in_query ? raw_key(text) : text;
}

std::size_t head_memo::recognise(std::string_view input, const http_limits& limits) noexcept {
  if (input.size() < least_bytes_ || !begins(input)) return 0;

  std::size_t target_stop = start_bytes_;
  bool plain = false;
  if (variable_ != variable::none) {
    target_stop = variable_ == variable::query
                      ? plain_end(input, target_stop, swar::not_plain_in_query)
                      : plain_end(input, target_stop, swar::not_plain_in_path);
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
      body_bytes > limits.most_body_bytes(like_.kind) || input.size() - head_end < body_bytes)
    return 0;

  const char* const text = input.data();
  like_.method_text = {text, like_.method_text.size()};
  like_.target = {text + target_start, target_stop - target_start};
  if (variable_ == variable::path) {
    const target_parts parts = plain ? target_parts{like_.target, {}} : split_target(like_.target);
    like_.path = parts.path;
    like_.path_is_plain = plain;
    like_.query = parts.query;
  } else {
    like_.path = {text + target_start, like_.path.size()};
  }
  if (variable_ == variable::query) {
    like_.query = {{text + start_bytes_, target_stop - start_bytes_}, plain};
    if (!plain) like_.query.text = without_fragment(like_.query.text);
  }
  if (has_length_) like_.body = {text + head_end, body_bytes};
  return head_end + body_bytes;
}

} // namespace kvcache::http
