// Beast's basic_parser of Boost 1.81 accepts the following, which this server refuses:
//
// - lines folded onto the next (obs-fold): is_folded
// - Content-Length as a list or repeated; Transfer-Encoding with parameters, twice, in HTTP/1.0 or
//   beside Content-Length: check_field; with other codings: check_field, check_head
// - Host missing, repeated or malformed: check_field, check_head
// - targets of no known form, and absolute ones, which it does not read: request_line
// - Proxy-Connection, and keep-alive beside close: check_field reads Connection itself
// - chunk extensions of any length and with any byte: on_chunk_header_impl
// - trailers of any number and size: on_field_impl, parse_chunks
// - a head of twice its limit: put_head passes only what is allowed
// - malformed chunk sizes, and bare CR and LF, while it waits for CR LF: check_chunk_line
// - malformed lines of a head that has arrived in part: request_line, check_field_line
// It refuses the following, which this server accepts: an empty line before the request line
// (skip_empty_lines), HTTP/1.2 and later (lower_minor_version).
//
// Beast enforces the remaining rules (tokens, control characters, bare CR and LF, spaces before the
// colon, number overflow, chunk syntax); the tests verify that, too.
#include "http/message_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "http/ascii.hpp"
#include "http/authority.hpp"
#include "http/beast_methods.hpp"
#include "http/chunk_line.hpp"
#include "http/field_rules.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view behind_target = " HTTP/1.1"; // or another digit

} // namespace

message_parser::message_parser(const http_limits& limits) noexcept : limits_(limits) {
  // This class enforces both limits: exactly, and with a fault for each.
  header_limit(std::numeric_limits<std::uint32_t>::max());
  body_limit(boost::none);
}

parse_result message_parser::parse(std::span<char> input) {
  input_ = input;
  if (const fault why = parse_parts(); why != fault::none) return {parse_status::refused, why, 0};
  if (stage_ != stage::body) return {};
  if (framing_ == body_framing::content_length) {
    if (input.size() - head_end_ < body_bytes_) return {};
    consumed_ = head_end_ + body_bytes_;
  } else if (framing_ == body_framing::chunked && !is_done()) {
    return {};
  }
  return {parse_status::complete, fault::none, consumed_};
}

fault message_parser::parse_parts() {
  if (stage_ == stage::empty_lines)
    if (const fault why = skip_empty_lines(); why != fault::none) return why;
  if (stage_ == stage::request_line || stage_ == stage::fields)
    if (const fault why = parse_head(); why != fault::none) return why;
  if (stage_ == stage::body && framing_ == body_framing::chunked) return parse_chunks();
  return fault::none;
}

std::size_t message_parser::announced_bytes() const noexcept {
  const bool announced = stage_ == stage::body && framing_ == body_framing::content_length;
  return announced ? head_end_ + body_bytes_ : 0;
}

std::optional<std::string_view>
message_parser::path_of_head(std::string_view input) const noexcept {
  if (!head_is_valid_) return std::nullopt;
  return path_of(input.substr(line_.path_and_query.offset, line_.path_and_query.size));
}

// RFC 9112 §2.2.
fault message_parser::skip_empty_lines() noexcept {
  std::string_view rest = input().substr(start_);
  while (rest.starts_with(crlf.front()) && rest.starts_with(crlf)) { // mostly not even the first
    rest.remove_prefix(crlf.size());
    start_ += crlf.size();
    if (start_ > limits_.leading_empty_lines * crlf.size()) return fault::too_many_empty_lines;
  }
  if (rest.empty()) return fault::none;
  if (rest.front() == '\r') return rest.size() == 1 ? fault::none : fault::bad_line_ending;
  consumed_ = start_;
  line_.begin_at(start_);
  stage_ = stage::request_line;
  return fault::none;
}

fault message_parser::parse_head() {
  error_code ec;
  put_head(ec);
  if (ec && ec == beast_http::error::bad_version && lower_minor_version()) put_head(ec = {});
  if (ec && ec != beast_http::error::need_more) return reason(ec);
  if (!is_header_done()) return check_unfinished_head();
  head_end_ = consumed_;
  stage_ = stage::body;
  return check_head();
}

void message_parser::put_head(error_code& ec) {
  const std::string_view rest =
      input().substr(consumed_, limits_.head_bytes - (consumed_ - start_));
  consumed_ += put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
}

// RFC 9110 §2.5: a later HTTP/1.x is processed as the highest known one, whose digit is written
// into the input. False: the request line is not one of those.
bool message_parser::lower_minor_version() noexcept {
  if (line_.check(input(), limits_) != fault::none) return false;
  input_[line_.minor_version_at()] = '1';
  return true;
}

// Checks each line that has arrived, once.
fault message_parser::check_unfinished_head() noexcept {
  if (stage_ == stage::request_line)
    if (const fault why = line_.check(input(), limits_); why != fault::none) return why;
  const std::string_view text = input();
  const std::size_t end = std::min(text.size(), start_ + limits_.head_bytes);
  for (scanned_ = std::max(scanned_, start_ + 1); scanned_ < end; ++scanned_) {
    if (text[scanned_] != '\n') continue;
    if (text[scanned_ - 1] != '\r') return fault::bad_line_ending;
    const std::size_t begin = text.rfind('\n', scanned_ - 1) + 1;
    if (begin <= start_) continue; // the request line
    const std::string_view line = text.substr(begin, scanned_ - 1 - begin);
    if (!line.empty() && is_blank(line.front())) // the first line continues no other
      return begin == text.find('\n', start_) + 1 ? fault::bad_field_line : fault::folded_field;
    if (const fault why = check_field_line(line); why != fault::none) return why;
  }
  if (text.size() - start_ < limits_.head_bytes) return fault::none;
  return line_.method_text.exists() ? fault::head_too_large : fault::bad_method;
}

fault message_parser::check_head() noexcept {
  if (!kept(known_field::host).exists() && line_.version == http_version::http_1_1)
    return fault::missing_host;
  if (has_unknown_coding_) return fault::unknown_transfer_encoding;
  head_is_valid_ = true;
  if (framing_ == body_framing::none) return fault::none;
  kind_ = kind_of(line_.verb, line_.path_and_query.in(input()));
  if (kind_ == body_kind::value && repeats_content_type_) return fault::repeated_content_type;
  if (framing_ == body_framing::chunked) return fault::none;
  const std::uint64_t length = content_length().value_or(0);
  if (length > most_body_bytes()) return body_too_large();
  body_bytes_ = static_cast<std::size_t>(length);
  return fault::none;
}

fault message_parser::body_too_large() const noexcept {
  switch (kind_) {
  case body_kind::value:
    return fault::value_too_large;
  case body_kind::batch:
    return fault::batch_too_large;
  case body_kind::single:
    break;
  }
  return fault::body_too_large;
}

fault message_parser::parse_chunks() {
  // At least these bytes are still to come at any moment, so waiting for them costs nothing; and
  // Beast asserts in places that it is not called with fewer.
  constexpr std::string_view last_chunk = "0\r\n\r\n";
  error_code ec;
  while (!is_done()) {
    const std::string_view rest = input().substr(consumed_);
    const std::size_t data_bytes = std::min<std::uint64_t>(chunk_left_, rest.size());
    if (const fault why = check_chunk_line(rest.substr(data_bytes), past_first_chunk_);
        why != fault::none)
      return why;
    if (rest.size() < last_chunk.size()) break;
    consumed_ += put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
    if (ec == beast_http::error::need_more) break;
    if (ec) return reason(ec);
  }
  // The framing that has arrived: sizes, extensions, line ends and trailers, whole or in part.
  const std::size_t end = is_done() ? consumed_ : input_.size();
  const std::size_t framing_bytes = removed_bytes_ + end - head_end_ - body_bytes_;
  if (framing_bytes <= most_chunk_overhead_bytes(limits_, kind_)) return fault::none;
  return kind_ == body_kind::single ? fault::chunk_overhead_too_large
                                    : fault::chunk_share_too_large;
}

// The framing is between the decoded data and what Beast has not read yet.
std::size_t message_parser::remove_framing(std::span<char> input) noexcept {
  if (stage_ != stage::body || framing_ != body_framing::chunked) return 0;
  const std::size_t from = head_end_ + body_bytes_;
  const std::size_t removed = consumed_ - from;
  std::memmove(input.data() + from, input.data() + consumed_, input.size() - consumed_);
  consumed_ = from;
  removed_bytes_ += removed;
  return removed;
}

std::string_view message_parser::arrived_body(std::string_view input) const noexcept {
  return framing_ == body_framing::none ? std::string_view{}
                                        : input.substr(head_end_, body_bytes_); // or what there is
}

std::size_t message_parser::drop_arrived_body(std::span<char> input) noexcept {
  if (framing_ != body_framing::chunked) return input.size() - head_end_;
  const std::size_t before = remove_framing(input);
  const std::size_t rest = input.size() - before;
  std::memmove(input.data() + head_end_, input.data() + consumed_, rest - consumed_);
  const std::size_t dropped = std::exchange(body_bytes_, 0);
  dropped_bytes_ += dropped;
  consumed_ = head_end_;
  return before + dropped;
}

std::optional<std::size_t> message_parser::stated_body_bytes() const noexcept {
  if (stage_ != stage::body || framing_ != body_framing::content_length) return std::nullopt;
  return body_bytes_;
}

void message_parser::on_request_impl(beast_http::verb verb, string_view method, string_view target,
                                     int version, error_code& ec) {
  stage_ = stage::fields;
  const fault why =
      line_.accept(input(), method_of(verb), method, target,
                   version == 11 ? http_version::http_1_1 : http_version::http_1_0, limits_);
  if (why != fault::none) fail(why, ec);
}

void message_parser::on_field_impl(beast_http::field field, string_view name, string_view value,
                                   error_code& ec) {
  if (is_header_done()) {
    if (++trailers_ > limits_.trailer_fields) return fail(fault::too_many_trailers, ec);
  } else {
    if (++fields_ > limits_.head_fields) return fail(fault::too_many_fields, ec);
  }
  if (is_folded(name, value)) return fail(fault::folded_field, ec);
  if (is_header_done()) return; // trailers have no effect (RFC 9110 §6.5)
  if (const fault why = check_field(known_field_of(field), value); why != fault::none)
    fail(why, ec);
}

// Beast joins folded lines in a buffer of its own, or, if the first line is empty, returns the
// value of a later one.
bool message_parser::is_folded(std::string_view name, std::string_view value) const noexcept {
  const auto name_end = static_cast<std::size_t>(name.data() + name.size() - input_.data());
  const auto value_start = reinterpret_cast<std::uintptr_t>(value.data()) -
                           reinterpret_cast<std::uintptr_t>(input_.data());
  if (value_start > input_.size()) return true; // an address below the input wraps around
  const std::size_t gap = value_start - name_end;
  constexpr std::size_t usual_gap = 2; // a colon and a space: no room for a line end
  return gap > usual_gap &&
         std::string_view(input_.data() + name_end, gap).find('\n') != std::string_view::npos;
}

fault message_parser::keep_once(known_field field, std::string_view value,
                                fault repeated) noexcept {
  input_span& place = kept(field);
  if (place.exists()) return repeated;
  place = span_in(input(), value);
  return fault::none;
}

fault message_parser::check_field(known_field field, std::string_view value) noexcept {
  switch (field) {
  case known_field::host:
    if (const fault why = keep_once(field, value, fault::repeated_host); why != fault::none)
      return why;
    return is_authority(value) ? fault::none : fault::bad_host;

  case known_field::content_length:
    if (framing_ == body_framing::content_length) return fault::repeated_content_length;
    if (framing_ == body_framing::chunked) return fault::length_and_transfer_encoding;
    // Beast has read the number already, perhaps from a list.
    if (!std::ranges::all_of(value, is_decimal)) return fault::bad_content_length;
    framing_ = body_framing::content_length;
    return keep_once(field, value, fault::repeated_content_length);

  case known_field::transfer_encoding:
    if (line_.version == http_version::http_1_0) return fault::transfer_encoding_in_http_1_0;
    if (framing_ == body_framing::content_length) return fault::length_and_transfer_encoding;
    if (framing_ == body_framing::chunked) return fault::bad_transfer_encoding;
    framing_ = body_framing::chunked;
    if (const fault why = check_transfer_encoding(value); why != fault::unknown_transfer_encoding)
      return why;
    has_unknown_coding_ = true;
    return fault::none;

  case known_field::connection:
    while (!value.empty()) {
      const std::string_view option = next_element(value);
      if (equal_ignoring_case(option, "close")) has_close_ = true;
      if (equal_ignoring_case(option, "keep-alive")) has_keep_alive_ = true;
    }
    return fault::none;

  case known_field::expect:
    if (!expects_100_continue(value)) return fault::unknown_expectation;
    awaits_100_ = line_.version == http_version::http_1_1; // RFC 9110 §10.1.1: ignored in 1.0
    return fault::none;

  case known_field::content_encoding:
    is_coded_ = is_coded_ || names_a_coding(value);
    return fault::none;

  case known_field::if_match: // may be repeated, being lists
  case known_field::if_none_match:
  case known_field::content_range: // only its presence matters
    return keep_once(field, value, fault::none);

  case known_field::content_type:
    repeats_content_type_ = kept(field).exists();
    return keep_once(field, value, fault::none);

  case known_field::origin:
  case known_field::authorization:
  case known_field::sec_fetch_site:
    return keep_once(field, value, fault::repeated_field);

  case known_field::proxy_connection:
  case known_field::accept:
  case known_field::accept_encoding:
  case known_field::none:
    break;
  }
  return fault::none;
}

void message_parser::on_chunk_header_impl(std::uint64_t size, string_view extensions,
                                          error_code& ec) {
  if (extensions.size() > limits_.chunk_extension_bytes)
    return fail(fault::chunk_extension_too_long, ec);
  if (!are_chunk_extensions(extensions)) return fail(fault::bad_chunk_extension, ec);
  if (size > most_body_bytes() - (dropped_bytes_ + body_bytes_)) return fail(body_too_large(), ec);
  chunk_left_ = size;
  past_first_chunk_ = true;
}

// Moves the data to the end of the chunk before it, over bytes that Beast does not read again.
std::size_t message_parser::on_chunk_body_impl(std::uint64_t, string_view body, error_code&) {
  std::memmove(input_.data() + head_end_ + body_bytes_, body.data(), body.size());
  body_bytes_ += body.size();
  chunk_left_ -= body.size();
  return body.size();
}

fault message_parser::reason(const error_code& ec) noexcept {
  if (why_ != fault::none) return why_;
  if (stage_ == stage::request_line) // the same fault as for a line in pieces
    if (const fault why = line_.check(input(), limits_); why != fault::none) return why;
  const bool is_chunked = framing_ == body_framing::chunked;
  switch (static_cast<beast_http::error>(ec.value())) {
  case beast_http::error::bad_method:
    return fault::bad_method;
  case beast_http::error::bad_target:
    return fault::bad_target;
  case beast_http::error::bad_version:
    return fault::version_not_supported; // its form has been checked
  case beast_http::error::bad_line_ending:
    return fault::bad_line_ending;
  case beast_http::error::bad_field:
    return fault::bad_field_line;
  case beast_http::error::header_limit:
    return fault::folded_field; // a fold too large for Beast
  case beast_http::error::bad_content_length:
    return is_chunked ? fault::length_and_transfer_encoding : fault::bad_content_length;
  case beast_http::error::multiple_content_length:
    return fault::repeated_content_length;
  case beast_http::error::bad_transfer_encoding:
    return framing_ == body_framing::content_length ? fault::length_and_transfer_encoding
                                                    : fault::bad_transfer_encoding;
  case beast_http::error::bad_chunk:
    return fault::bad_chunk;
  case beast_http::error::bad_chunk_extension:
    return fault::bad_chunk_extension;
  default:
    return fault::bad_field_value;
  }
}

void message_parser::fail(fault why, error_code& ec) noexcept {
  why_ = why;
  ec = beast_http::error::bad_value; // any error stops Beast; the reason is in why_
}

void message_parser::identify(request& out) const noexcept {
  out.verb = line_.verb;
  out.version = line_.version;
}

void message_parser::describe(std::string_view input, request& out) const noexcept {
  identify(out);
  out.form = line_.form;
  out.framing = framing_;
  out.keep_alive = !has_close_ && (line_.version == http_version::http_1_1 || has_keep_alive_);
  out.is_coded = is_coded_;
  out.kind = kind_;
  out.method_text = line_.method_text.in(input);
  out.target = line_.target.in(input);
  const std::size_t line_end = line_.target.offset + line_.target.size + behind_target.size();
  out.field_lines = input.substr(line_end, head_end_ - line_end);
  const target_parts parts = split_target(line_.path_and_query.in(input));
  out.path = parts.path;
  out.query = parts.query; // not known to be plain
  for (std::size_t i = 0; i < kept_field_count; ++i) out.fields[i] = kept_[i].in(input);
  // RFC 9112 §3.2.2: the target's authority overrides Host.
  out.host =
      line_.form == target_form::absolute ? line_.authority.in(input) : out[known_field::host];
  out.body = arrived_body(input);
}

parse_phase message_parser::phase() const noexcept {
  switch (stage_) {
  case stage::empty_lines:
    return parse_phase::idle;
  case stage::body:
    return parse_phase::body;
  default:
    return parse_phase::head;
  }
}

bool message_parser::take_100_continue() noexcept {
  const bool due = awaits_100_ && stage_ == stage::body && framing_ != body_framing::none;
  if (due) awaits_100_ = false;
  return due;
}

} // namespace kvcache::http
