#include "http/head_memo.hpp"

#include <cstdint>
#include <cstring>

#include "http/swar.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

// Whether a byte may stand in a target: all above the space but DEL, as Beast has it.
constexpr bool may_stand_in_target(char byte) noexcept {
  return static_cast<unsigned char>(byte) > ' ' && byte != '\x7F';
}

// Where the target ends that goes on at `i`.
std::size_t target_end(std::string_view text, std::size_t i) noexcept {
  for (; text.size() - i >= swar::word_bytes; i += swar::word_bytes) {
    const std::uint64_t marks = swar::not_in_target(swar::load(text.data() + i));
    if (marks == 0) continue;
    if constexpr (!swar::first_is_lowest) break;
    return i + swar::first_mark(marks);
  }
  while (i < text.size() && may_stand_in_target(text[i])) ++i;
  return i;
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

constexpr bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }

} // namespace

// What the copy of the tail says where `tail` says `piece`.
std::string_view head_memo::copied(std::string_view piece, std::string_view tail) const noexcept {
  if (piece.data() == nullptr) return {};
  return {tail_.data() + (piece.data() - tail.data()), piece.size()};
}

void head_memo::learn(std::string_view input, std::size_t head_end, std::string_view content_length,
                      const request& got) noexcept {
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
  std::memcpy(tail_.data(), tail.data(), tail.size());

  like_ = got;
  like_.host = copied(got.host, tail);
  like_.origin = copied(got.origin, tail);
  like_.sec_fetch_site = copied(got.sec_fetch_site, tail);
  like_.authorization = copied(got.authorization, tail);
  like_.if_none_match = copied(got.if_none_match, tail);
  granted_ = {};
  like_.granted = &granted_;

  start_mask_ = {};
  std::memset(start_mask_.data(), 0xFF, start_bytes);
  for (std::size_t i = 0; i < most_start_words; ++i)
    start_[i] =
        swar::load(input.data() + i * swar::word_bytes) & start_mask_[i]; // heads are longer
  start_bytes_ = start_bytes;
  has_query_ = has_query;
  has_length_ = got.framing == body_framing::content_length;
  before_length_bytes_ =
      has_length_ ? static_cast<std::size_t>(content_length.data() - tail.data()) : tail.size();
  length_end_ = before_length_bytes_ + (has_length_ ? content_length.size() : 0);
  tail_body_bytes_ = has_length_ ? got.body.size() : 0;
  tail_bytes_ = tail.size();
  least_bytes_ = sizeof start_;
}

bool head_memo::begins(std::string_view input) const noexcept {
  std::uint64_t differences = 0;
  for (std::size_t i = 0; i < most_start_words; ++i)
    differences |= (swar::load(input.data() + i * swar::word_bytes) & start_mask_[i]) ^ start_[i];
  return differences == 0;
}

// Whether `rest`, what follows the target, begins as the remembered head ends; the length may
// differ. Sets where the head ends there, and the length.
bool head_memo::ends(std::string_view rest, std::size_t& end,
                     std::size_t& body_bytes) const noexcept {
  if (rest.size() >= tail_bytes_ && std::memcmp(rest.data(), tail_.data(), tail_bytes_) == 0) {
    end = tail_bytes_;
    body_bytes = tail_body_bytes_;
    return true;
  }
  if (!has_length_) return false;

  const std::size_t after_length_bytes = tail_bytes_ - length_end_;
  if (rest.size() < before_length_bytes_ + after_length_bytes ||
      std::memcmp(rest.data(), tail_.data(), before_length_bytes_) != 0)
    return false;
  end = before_length_bytes_;
  body_bytes = 0;

  constexpr std::size_t most_digits =
      9; // longer lengths, and leading zeros, are left to the parser
  const std::size_t first = end;
  for (; end - first < most_digits && end < rest.size() && is_decimal(rest[end]); ++end)
    body_bytes = body_bytes * 10 + static_cast<std::size_t>(rest[end] - '0');
  if (end == first || (rest[first] == '0' && end - first > 1)) return false;
  if (rest.size() - end < after_length_bytes ||
      std::memcmp(rest.data() + end, tail_.data() + length_end_, after_length_bytes) != 0)
    return false;
  end += after_length_bytes;
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
