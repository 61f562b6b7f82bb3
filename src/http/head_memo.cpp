#include "http/head_memo.hpp"

#include <cstdint>
#include <cstring>

#include "http/swar.hpp"

namespace kvcache::http {
namespace {

// Length of the run of bytes that may stand in a target: all above the space but DEL, as Beast has
// it.
std::size_t target_run(std::string_view text) noexcept {
  std::size_t i = 0;
  while (text.size() - i >= swar::word_bytes) {
    const std::uint64_t marks = swar::not_in_target(swar::load(text.data() + i));
    if (marks != 0) {
      if constexpr (!swar::first_is_lowest) break;
      return i + swar::first_mark(marks);
    }
    i += swar::word_bytes;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) > ' ' && text[i] != '\x7F') ++i;
  return i;
}

} // namespace

head_memo::place head_memo::place_of(std::string_view piece, std::string_view tail) noexcept {
  if (piece.data() == nullptr) return {};
  return {static_cast<std::size_t>(piece.data() - tail.data()), piece.size(), true};
}

std::string_view head_memo::at(const place& where, const char* tail) noexcept {
  return where.present ? std::string_view(tail + where.offset, where.size) : std::string_view();
}

void head_memo::learn(std::string_view input, std::size_t head_end, const request& got) noexcept {
  tail_bytes_ = 0;
  const bool plain = got.form == target_form::origin && got.method_text.data() == input.data() &&
                     got.framing != body_framing::chunked;
  if (!plain) return;
  const std::size_t start_bytes = got.method_text.size() + std::string_view(" /").size();
  const std::string_view tail =
      input.substr(0, head_end).substr(start_bytes - 1 + got.target.size());
  if (start_bytes > sizeof start_ || tail.size() > tail_.size()) return;

  start_mask_ = 0;
  std::memset(&start_mask_, 0xFF, start_bytes);
  start_ = swar::load(input.data()) & start_mask_;
  std::memcpy(tail_.data(), tail.data(), tail.size());
  start_bytes_ = start_bytes;
  tail_bytes_ = tail.size();
  body_bytes_ = got.body.size();
  host_ = place_of(got.host, tail);
  origin_ = place_of(got.origin, tail);
  sec_fetch_site_ = place_of(got.sec_fetch_site, tail);
  authorization_ = place_of(got.authorization, tail);
  like_ = {};
  like_.verb = got.verb;
  like_.version = got.version;
  like_.form = got.form;
  like_.framing = got.framing;
  like_.keep_alive = got.keep_alive;
}

std::size_t head_memo::recognise(std::string_view input, const http_limits& limits,
                                 request& out) const noexcept {
  const std::size_t rest_bytes = tail_bytes_ + body_bytes_;
  if (tail_bytes_ == 0 || input.size() < start_bytes_ + rest_bytes) return 0;
  // There is a word to load: the shortest tail is " HTTP/1.0" and the empty line.
  if ((swar::load(input.data()) & start_mask_) != start_) return 0;

  const std::size_t target_start = start_bytes_ - 1; // the slash belongs to both
  const std::size_t target_end = start_bytes_ + target_run(input.substr(start_bytes_));
  const std::size_t head_end = target_end + tail_bytes_;
  if (target_end - target_start > limits.target_bytes || head_end > limits.head_bytes) return 0;
  if (input.size() - target_end < rest_bytes) return 0;
  const char* const tail = input.data() + target_end;
  if (std::memcmp(tail, tail_.data(), tail_bytes_) != 0) return 0;

  out = like_;
  out.method_text = {input.data(), target_start - 1};
  out.target = out.path_and_query = {input.data() + target_start, target_end - target_start};
  out.host = at(host_, tail);
  out.origin = at(origin_, tail);
  out.sec_fetch_site = at(sec_fetch_site_, tail);
  out.authorization = at(authorization_, tail);
  if (body_bytes_ != 0) out.body = {tail + tail_bytes_, body_bytes_};
  return head_end + body_bytes_;
}

} // namespace kvcache::http
