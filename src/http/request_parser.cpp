// What Beast's basic_parser of Boost 1.81 accepts and this server must not, and where it is caught:
//
// - lines folded onto the next (obs-fold): is_folded
// - Content-Length as a list or repeated; Transfer-Encoding with parameters, twice, in HTTP/1.0 or
//   beside Content-Length: check_field; with other codings: check_field, check_head
// - Host missing, repeated or malformed: check_field, check_head
// - targets of no known form, and absolute ones, which it does not read: check_target
// - Proxy-Connection, and keep-alive beside close: check_field reads Connection itself
// - chunk extensions of any length and with any byte: on_chunk_header_impl
// - trailers of any number and size: on_field_impl, parse_chunks
// - a head of twice its limit: parse_head hands over only what is allowed
// - chunk sizes that are none, and bare CR and LF, for whose CR LF it waits: check_chunk_line
// - a head that came in pieces, which it reads only when it is whole: check_request_line,
//   check_field_line
// And where it is too strict: an empty line before the request line (skip_empty_lines), HTTP/1.2
// and later (lower_minor_version).
//
// Everything else (tokens, control characters, bare CR and LF, spaces before the colon, number
// overflow, chunk syntax) Beast gets right; the tests hold it to that too.
#include "http/request_parser.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#include "http/target.hpp"

namespace kvcache::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr std::string_view crlf = "\r\n";

constexpr bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// REQUIRES: `lower` has no capital letters.
bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(),
                                                   [](char a, char b) { return to_lower(a) == b; });
}

constexpr bool is_token_byte(char c) noexcept { // RFC 9110 §5.6.2
  const char small = to_lower(c);
  return is_decimal(c) || (small >= 'a' && small <= 'z') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

// As Beast has it: any but controls, the space and DEL.
constexpr bool is_target_byte(char c) noexcept {
  return static_cast<unsigned char>(c) > ' ' && c != '\x7F';
}

constexpr bool is_ows(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the next element off a comma-separated list (RFC 9110 §5.6.1); empty elements are legal.
std::string_view next_element(std::string_view& list) noexcept {
  const std::size_t comma = list.find(',');
  const std::string_view element = trim(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return element;
}

// ---- Host (RFC 9110 §7.2, RFC 3986 §3.2.2) -------------------------------------------

// Bytes of a registered name or an IPv4 address, but for '%', which begins an escape.
constexpr std::array<bool, 256> make_host_bytes() {
  std::array<bool, 256> allowed{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789-._~!$&'()*+,;="))
    allowed[static_cast<unsigned char>(c)] = true;
  return allowed;
}
constexpr std::array<bool, 256> host_bytes = make_host_bytes();

constexpr bool is_host_byte(char c) noexcept { return host_bytes[static_cast<unsigned char>(c)]; }

// Where the first byte at `i` or behind is that is none of those. Every head that is not remembered
// comes by here: eight bytes cost one branch.
std::size_t host_bytes_end(std::string_view text, std::size_t i) noexcept {
  for (constexpr std::size_t step = 8; text.size() - i >= step; i += step) {
    const char* const at = text.data() + i;
    const bool all = is_host_byte(at[0]) & is_host_byte(at[1]) & is_host_byte(at[2]) &
                     is_host_byte(at[3]) & is_host_byte(at[4]) & is_host_byte(at[5]) &
                     is_host_byte(at[6]) & is_host_byte(at[7]);
    if (!all) break;
  }
  while (i < text.size() && is_host_byte(text[i])) ++i;
  return i;
}

constexpr bool is_hex_digit(char c) noexcept {
  return is_decimal(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

// RFC 3986 §3.2.3: any number of digits, none included.
bool is_port(std::string_view text) noexcept {
  constexpr unsigned highest = 65'535;
  unsigned number = 0;
  for (const char c : text) {
    if (!is_decimal(c)) return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
    if (number > highest) return false;
  }
  return true;
}

// What stands behind the host: nothing, or a colon and perhaps a port.
bool is_port_part(std::string_view text) noexcept {
  return text.empty() || (text.front() == ':' && is_port(text.substr(1)));
}

// An IPv6 address; of later versions (RFC 3986: IPvFuture) there are none, and no zones in URIs.
bool is_address_in_brackets(std::string_view text) noexcept {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return false;
  const std::string_view address = text.substr(1, end - 1);
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (address.size() >= terminated.size() || address.find('\0') != std::string_view::npos)
    return false;
  std::copy(address.begin(), address.end(), terminated.begin());
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, terminated.data(), &parsed) == 1 &&
         is_port_part(text.substr(end + 1));
}

bool is_host(std::string_view text) noexcept {
  if (text.empty()) return false;
  if (text.front() == '[') return is_address_in_brackets(text);
  std::size_t end = host_bytes_end(text, 0);
  for (; end < text.size() && text[end] == '%'; end = host_bytes_end(text, end + 3))
    if (text.size() - end < 3 || !is_hex_digit(text[end + 1]) || !is_hex_digit(text[end + 2]))
      return false;
  return end != 0 && is_port_part(text.substr(end));
}

// ---- what the fields say -------------------------------------------------------------

fault check_transfer_encoding(std::string_view value) noexcept {
  if (equals_ignoring_case(value, "chunked")) return fault::none;
  // RFC 9112 §6.1, §7: chunked has no parameters, comes once, and last; others are unknown to us.
  bool any = false;
  while (!value.empty()) {
    const std::string_view coding = next_element(value);
    if (coding.empty()) continue;
    any = true;
    if (equals_ignoring_case(trim(coding.substr(0, coding.find(';'))), "chunked")) {
      const bool last = trim(value).empty();
      if (!last || coding.find(';') != std::string_view::npos) return fault::bad_transfer_encoding;
    }
  }
  return any ? fault::unknown_transfer_encoding : fault::bad_transfer_encoding;
}

// A whole field line of a head whose end is still to come: whether it can stand in any head. What
// several fields say together is left to check_field().
fault check_field_line(std::string_view line) noexcept {
  if (line.empty()) return fault::none;
  const std::string_view name{line.begin(), std::ranges::find_if_not(line, is_token_byte)};
  if (name.empty() || name.size() == line.size() || line[name.size()] != ':')
    return fault::bad_field_line;
  const std::string_view value = line.substr(name.size() + 1);
  const auto* const control = std::ranges::find_if(value, [](char c) {
    return c == '\x7F' || (static_cast<unsigned char>(c) < ' ' && c != '\t');
  });
  if (control != value.end())
    return *control == '\r' ? fault::bad_line_ending : fault::bad_field_value;
  if (!equals_ignoring_case(name, "content-length")) return fault::none;
  const std::string_view length = trim(value);
  return !length.empty() && std::ranges::all_of(length, is_decimal) ? fault::none
                                                                    : fault::bad_content_length;
}

// Whether that is all it expects; a list may say it several times.
bool expects_100_continue(std::string_view value) noexcept {
  bool any = false;
  while (!value.empty()) {
    const std::string_view expectation = next_element(value);
    if (expectation.empty()) continue;
    if (!equals_ignoring_case(expectation, "100-continue")) return false;
    any = true;
  }
  return any;
}

// https: what a proxy that ends TLS may hand on.
constexpr std::array<std::string_view, 2> absolute_starts{"http://", "https://"};

// Whether it names a coding of the body other than none (RFC 9110 §8.4, §12.5.3).
bool names_a_coding(std::string_view value) noexcept {
  while (!value.empty()) {
    const std::string_view coding = next_element(value);
    if (!coding.empty() && !equals_ignoring_case(coding, "identity")) return true;
  }
  return false;
}

method method_of(beast_http::verb verb) noexcept {
  switch (verb) {
  case beast_http::verb::get:
    return method::get;
  case beast_http::verb::head:
    return method::head;
  case beast_http::verb::post:
    return method::post;
  case beast_http::verb::put:
    return method::put;
  case beast_http::verb::delete_:
    return method::del;
  case beast_http::verb::options:
    return method::options;
  default:
    return method::other;
  }
}

} // namespace

// ---- chunks (RFC 9112 §7.1) ----------------------------------------------------------

// What follows a chunk's size, as much of it as is there: extensions or the line's end.
fault check_behind_chunk_size(std::string_view text) noexcept {
  if (text.empty() || text.front() == ';') return fault::none;
  if (text.front() == '\r')
    return crlf.starts_with(text.substr(0, crlf.size())) ? fault::none : fault::bad_line_ending;
  if (!is_ows(text.front())) return fault::bad_chunk;
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1); // RFC 9112 §7.1.1: BWS
  return text.empty() || text.front() == ';' ? fault::none : fault::bad_chunk_extension;
}

// Whether a carriage return stands in it without a line feed behind it; at the end, one may come.
bool has_bare_cr(std::string_view text) noexcept {
  for (std::size_t at = 0; (at = text.find('\r', at)) != std::string_view::npos; ++at)
    if (at + 1 < text.size() && text[at + 1] != '\n') return true;
  return false;
}

// ---- core: one request ---------------------------------------------------------------

request_parser::core::core(const http_limits& limits) noexcept : limits_(limits) {
  // Both are held here instead, where they can be exact and each have their own fault.
  header_limit(std::numeric_limits<std::uint32_t>::max());
  body_limit(boost::none);
}

parse_result request_parser::core::parse(std::span<char> bytes) {
  base_ = bytes.data();
  base_bytes_ = bytes.size();
  const std::string_view input{base_, base_bytes_};
  if (stage_ == stage::before) {
    if (const fault why = skip_empty_lines(input); why != fault::none)
      return {parse_status::refused, why, 0};
    if (stage_ == stage::before) return {};
  }
  if (stage_ != stage::body) {
    if (const fault why = parse_head(input); why != fault::none)
      return {parse_status::refused, why, 0};
    if (stage_ != stage::body) return {};
  }
  switch (framing_) {
  case body_framing::none:
    break;
  case body_framing::content_length:
    // One piece of the input: nothing to parse.
    if (input.size() - head_end_ < content_length_) return {};
    consumed_ = head_end_ + content_length_;
    break;
  case body_framing::chunked:
    if (const fault why = parse_chunks(input); why != fault::none)
      return {parse_status::refused, why, 0};
    if (!is_done()) return {};
    break;
  }
  return {parse_status::complete, fault::none, consumed_};
}

std::size_t request_parser::core::announced_bytes() const noexcept {
  const bool announced = stage_ == stage::body && framing_ == body_framing::content_length;
  return announced ? head_end_ + content_length_ : 0;
}

std::optional<std::string_view>
request_parser::core::path_of_head(std::string_view input) const noexcept {
  if (!head_is_valid_) return std::nullopt;
  return path_of(input.substr(path_and_query_.offset, path_and_query_.size));
}

// RFC 9112 §2.2.
fault request_parser::core::skip_empty_lines(std::string_view input) noexcept {
  std::string_view rest = input.substr(start_);
  while (rest.starts_with(crlf.front()) && rest.starts_with(crlf)) { // mostly not even the first
    rest.remove_prefix(crlf.size());
    start_ += crlf.size();
    if (start_ > limits_.leading_empty_lines * crlf.size()) return fault::too_many_empty_lines;
  }
  if (rest.empty()) return fault::none;
  if (rest.front() == '\r') return rest.size() == 1 ? fault::none : fault::bad_line_ending;
  consumed_ = line_at_ = start_;
  stage_ = stage::request_line;
  return fault::none;
}

fault request_parser::core::parse_head(std::string_view input) {
  error_code ec;
  put_head(input, ec);
  if (ec && ec == beast_http::error::bad_version && lower_minor_version(input))
    put_head(input, ec = {});
  if (ec && ec != beast_http::error::need_more) return reason(ec, input);
  if (!is_header_done()) return check_unfinished_head(input);
  head_end_ = consumed_;
  stage_ = stage::body;
  return check_head();
}

// As much of the request line as is there, read on from where the last call stopped: whether it can
// still become right. The minor version is left to Beast.
fault request_parser::core::check_request_line(std::string_view input) noexcept {
  input = input.substr(0, start_ + limits_.head_bytes);
  const auto read_while = [&](bool (*fits)(char) noexcept) noexcept {
    while (line_at_ < input.size() && fits(input[line_at_])) ++line_at_;
    return line_at_ == input.size();
  };
  switch (line_part_) {
  case line_part::method:
    if (read_while([](char c) noexcept { return is_token_byte(c); })) return fault::none;
    if (line_at_ == start_ || input[line_at_] != ' ') return fault::bad_method;
    method_ = span_of(input.substr(start_, line_at_ - start_));
    verb_ = method_of(beast_http::string_to_verb(at(method_)));
    target_ = span_of(input.substr(++line_at_, 0));
    line_part_ = line_part::target;
    [[fallthrough]];

  case line_part::target: {
    const bool unfinished = read_while([](char c) noexcept { return is_target_byte(c); });
    target_.size = line_at_ - target_.offset;
    if (target_.size > limits_.target_bytes) return fault::target_too_long;
    if (unfinished) return may_become_target(at(target_)) ? fault::none : fault::bad_target;
    if (target_.size == 0 || input[line_at_] != ' ') return fault::bad_target;
    const bool is_preface = at(method_) == "PRI" && at(target_) == "*"; // RFC 9113 §3.4
    if (at(target_).front() != '/' && !is_preface)
      if (const fault why = check_target(); why != fault::none) return why;
    ++line_at_;
    line_part_ = line_part::version;
    [[fallthrough]];
  }

  case line_part::version: {
    constexpr std::string_view pattern = "HTTP/1.#\r\n"; // #: any digit
    constexpr std::size_t major_at = 5;
    const std::string_view version = input.substr(line_at_, pattern.size());
    for (std::size_t i = 0; i < version.size(); ++i) {
      if (version[i] == pattern[i] || (pattern[i] == '#' && is_decimal(version[i]))) continue;
      return i == major_at && is_decimal(version[i]) ? fault::version_not_supported
                                                     : fault::bad_request_line;
    }
    constexpr std::size_t minor_at = 7;
    if (version.size() == pattern.size() && version[minor_at] == '0')
      version_ = http_version::http_1_0;
    return fault::none;
  }
  }
  return fault::none;
}

void request_parser::core::put_head(std::string_view input, error_code& ec) {
  const std::string_view rest = input.substr(consumed_, limits_.head_bytes - (consumed_ - start_));
  consumed_ += put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
}

// RFC 9110 §2.5: a later HTTP/1.x is processed as the highest one that is known, which takes its
// place in the input. False: the request line is not one of those.
bool request_parser::core::lower_minor_version(std::string_view input) noexcept {
  if (check_request_line(input) != fault::none) return false;
  constexpr std::size_t minor_at = std::string_view{"HTTP/1."}.size();
  base_[line_at_ + minor_at] = '1';
  return true;
}

// Beast looks at a head that came in pieces only when its end is there. Each line is looked at
// once.
fault request_parser::core::check_unfinished_head(std::string_view input) noexcept {
  if (stage_ == stage::request_line)
    if (const fault why = check_request_line(input); why != fault::none) return why;
  const std::size_t end = std::min(input.size(), start_ + limits_.head_bytes);
  for (scanned_ = std::max(scanned_, start_ + 1); scanned_ < end; ++scanned_) {
    if (input[scanned_] != '\n') continue;
    if (input[scanned_ - 1] != '\r') return fault::bad_line_ending;
    const std::size_t line = input.rfind('\n', scanned_ - 1) + 1;
    if (line <= start_) continue; // the request line
    const std::string_view text = input.substr(line, scanned_ - 1 - line);
    if (!text.empty() && is_ows(text.front())) // the first one has none to be folded
      return line == input.find('\n', start_) + 1 ? fault::bad_field_line : fault::folded_field;
    if (const fault why = check_field_line(text); why != fault::none) return why;
  }

  if (input.size() - start_ < limits_.head_bytes) return fault::none;
  return method_.present ? fault::head_too_large : fault::bad_method;
}

fault request_parser::core::check_head() noexcept {
  if (!kept(known_field::host).present && version_ == http_version::http_1_1)
    return fault::missing_host;
  if (unknown_coding_) return fault::unknown_transfer_encoding;
  head_is_valid_ = true;
  if (framing_ == body_framing::content_length) {
    const std::uint64_t length = content_length().value_or(0);
    if (length > limits_.body_bytes) return fault::body_too_large;
    content_length_ = static_cast<std::size_t>(length);
  }
  return fault::none;
}

fault request_parser::core::parse_chunks(std::string_view input) {
  // At least these bytes are still to come at any moment, so waiting for them costs nothing; and
  // Beast asserts in places that it is not called with fewer.
  constexpr std::string_view last_chunk = "0\r\n\r\n";
  error_code ec;
  while (!is_done()) {
    const std::string_view rest = input.substr(consumed_);
    const std::size_t data_bytes = std::min<std::uint64_t>(chunk_left_, rest.size());
    if (const fault why = check_chunk_line(rest.substr(data_bytes)); why != fault::none) return why;
    if (rest.size() < last_chunk.size()) break;
    const std::size_t read = put(boost::asio::const_buffer(rest.data(), rest.size()), ec);
    consumed_ += read;
    if (ec == beast_http::error::need_more) break;
    if (ec) return reason(ec, input);
  }
  // What has come and is not body: sizes, extensions, line ends and trailers, whole or in part.
  const std::size_t end = is_done() ? consumed_ : input.size();
  if (removed_bytes_ + end - head_end_ - chunked_bytes_ > limits_.chunk_overhead_bytes)
    return fault::chunk_overhead_too_large;
  return fault::none;
}

// Between the decoded data and what Beast has not read yet.
std::size_t request_parser::core::remove_framing(std::span<char> input) noexcept {
  if (stage_ != stage::body || framing_ != body_framing::chunked) return 0;
  const std::size_t from = head_end_ + chunked_bytes_;
  const std::size_t removed = consumed_ - from;
  std::memmove(input.data() + from, input.data() + consumed_, input.size() - consumed_);
  consumed_ = from;
  removed_bytes_ += removed;
  return removed;
}

// Beast looks at a chunk's first line only when it is there with its CR LF, and at the trailers
// when their end is there: what can no more become right is refused at once.
fault request_parser::core::check_chunk_line(std::string_view rest) const noexcept {
  if (past_first_chunk_) { // the end of the chunk before
    if (!rest.starts_with(crlf.substr(0, rest.size()))) return fault::bad_chunk;
    rest.remove_prefix(std::min(rest.size(), crlf.size()));
  }
  if (rest.empty()) return fault::none;
  if (!is_hex_digit(rest.front())) return fault::bad_chunk;
  const auto size_end = std::find_if_not(rest.begin(), rest.end(), is_hex_digit);
  const auto digits = static_cast<std::size_t>(size_end - rest.begin());
  if (const fault why = check_behind_chunk_size(rest.substr(digits)); why != fault::none)
    return why;
  const std::size_t end = rest.find('\n');
  if (has_bare_cr(rest.substr(0, end))) return fault::bad_line_ending;
  if (end == std::string_view::npos) return fault::none;
  if (rest[end - 1] != '\r') return fault::bad_chunk;
  const std::size_t digit = rest.find_first_not_of('0');
  if (is_hex_digit(rest[digit])) return fault::none;
  // The last chunk: trailers follow, up to an empty line.
  const std::string_view trailers =
      rest.substr(end - 1, rest.find("\r\n\r\n", end - 1) - (end - 1));
  for (std::size_t at = crlf.size(); (at = trailers.find('\n', at)) != std::string_view::npos; ++at)
    if (trailers[at - 1] != '\r') return fault::bad_line_ending;
  return has_bare_cr(trailers) ? fault::bad_line_ending : fault::none;
}

void request_parser::core::on_request_impl(beast_http::verb verb, string_view method,
                                           string_view target, int version, error_code& ec) {
  stage_ = stage::fields;
  verb_ = method_of(verb);
  version_ = version == 11 ? http_version::http_1_1 : http_version::http_1_0;
  method_ = span_of(method);
  target_ = span_of(target);
  if (target.size() > limits_.target_bytes) return fail(fault::target_too_long, ec);
  if (target.front() == '/')
    path_and_query_ = target_;
  else if (const fault why = check_target(); why != fault::none)
    fail(why, ec);
}

// Whether the start of a target can still become one that check_target() accepts, as far as its
// scheme tells, and its host where that has ended.
bool request_parser::core::may_become_target(std::string_view text) const noexcept {
  if (text.empty() || text.front() == '/' || text == "*" || at(method_) == "CONNECT") return true;
  return std::ranges::any_of(absolute_starts, [text](std::string_view start) {
    const std::size_t common = std::min(text.size(), start.size());
    if (!equals_ignoring_case(text.substr(0, common), start.substr(0, common))) return false;
    const std::string_view rest = text.substr(common);
    const std::size_t authority_end = rest.find_first_of("/?#");
    return authority_end == std::string_view::npos || is_host(rest.substr(0, authority_end));
  });
}

// RFC 9112 §3.2, the forms other than the ordinary one.
fault request_parser::core::check_target() noexcept {
  const std::string_view target = at(target_);
  if (target == "*") {
    form_ = target_form::asterisk;
    return verb_ == method::options ? fault::none : fault::asterisk_not_for_options;
  }
  if (at(method_) == "CONNECT") {
    form_ = target_form::authority;
    return is_host(target) ? fault::none : fault::bad_target;
  }
  const auto* const start = std::ranges::find_if(absolute_starts, [target](std::string_view text) {
    return equals_ignoring_case(target.substr(0, text.size()), text);
  });
  if (start == absolute_starts.end()) return fault::bad_target;
  const std::string_view rest = target.substr(start->size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (!is_host(authority)) return fault::bad_target;
  form_ = target_form::absolute;
  authority_ = span_of(authority);
  path_and_query_ = span_of(rest.substr(authority.size()));
  return fault::none;
}

void request_parser::core::on_field_impl(beast_http::field field, string_view name,
                                         string_view value, error_code& ec) {
  if (is_header_done()) {
    if (++trailers_ > limits_.trailer_fields) return fail(fault::too_many_trailers, ec);
  } else {
    if (++fields_ > limits_.head_fields) return fail(fault::too_many_fields, ec);
  }
  if (is_folded(name, value)) return fail(fault::folded_field, ec);
  if (is_header_done()) return; // trailers mean nothing to us (RFC 9110 §6.5)
  if (const fault why = check_field(known_field_of(field), value); why != fault::none)
    fail(why, ec);
}

// Beast joins folded lines in a buffer of its own, or, where the first line is empty, gives the
// value of a later one.
bool request_parser::core::is_folded(std::string_view name, std::string_view value) const noexcept {
  const auto name_end = static_cast<std::size_t>(name.data() + name.size() - base_);
  const auto value_start =
      reinterpret_cast<std::uintptr_t>(value.data()) - reinterpret_cast<std::uintptr_t>(base_);
  if (value_start > base_bytes_) return true; // elsewhere; what lies below the input wraps around
  const std::size_t gap = value_start - name_end;
  constexpr std::size_t usual_gap = 2; // a colon and a space: no room for a line end
  return gap > usual_gap &&
         std::string_view(base_ + name_end, gap).find('\n') != std::string_view::npos;
}

fault request_parser::core::check_field(known_field field, std::string_view value) noexcept {
  const auto keep_once = [&](fault repeated) noexcept {
    span& place = kept(field);
    if (place.present) return repeated;
    place = span_of(value);
    return fault::none;
  };
  switch (field) {
  case known_field::host:
    if (const fault why = keep_once(fault::repeated_host); why != fault::none) return why;
    return is_host(value) ? fault::none : fault::bad_host;

  case known_field::content_length:
    if (framing_ == body_framing::content_length) return fault::repeated_content_length;
    if (framing_ == body_framing::chunked) return fault::length_and_transfer_encoding;
    // Beast has taken the number already; what it took it from may still be a list.
    if (!std::all_of(value.begin(), value.end(), is_decimal)) return fault::bad_content_length;
    framing_ = body_framing::content_length;
    return keep_once(fault::repeated_content_length);

  case known_field::transfer_encoding:
    if (version_ == http_version::http_1_0) return fault::transfer_encoding_in_http_1_0;
    if (framing_ == body_framing::content_length) return fault::length_and_transfer_encoding;
    if (framing_ == body_framing::chunked) return fault::bad_transfer_encoding;
    framing_ = body_framing::chunked;
    if (const fault why = check_transfer_encoding(value); why != fault::unknown_transfer_encoding)
      return why;
    unknown_coding_ = true;
    return fault::none;

  case known_field::connection:
    while (!value.empty()) {
      const std::string_view option = next_element(value);
      if (equals_ignoring_case(option, "close")) says_close_ = true;
      if (equals_ignoring_case(option, "keep-alive")) says_keep_alive_ = true;
    }
    return fault::none;

  case known_field::expect:
    if (!expects_100_continue(value)) return fault::unknown_expectation;
    awaits_100_ = version_ == http_version::http_1_1; // RFC 9110 §10.1.1: ignored in 1.0
    return fault::none;

  case known_field::content_encoding:
    is_coded_ = is_coded_ || names_a_coding(value);
    return fault::none;

  case known_field::if_none_match: // may be repeated, being a list
    return keep_once(fault::none);

  case known_field::origin:
  case known_field::authorization:
  case known_field::sec_fetch_site:
    return keep_once(fault::repeated_field);

  case known_field::proxy_connection:
  case known_field::none:
    break;
  }
  return fault::none;
}

void request_parser::core::on_chunk_header_impl(std::uint64_t size, string_view extensions,
                                                error_code& ec) {
  if (extensions.size() > limits_.chunk_extension_bytes)
    return fail(fault::chunk_extension_too_long, ec);
  // Beast lets any byte stand in a quoted extension, bare line ends too (RFC 9110 §5.6.4 does not).
  const bool clean = std::all_of(extensions.begin(), extensions.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7F : c == '\t';
  });
  if (!clean) return fail(fault::bad_chunk_extension, ec);
  if (size > limits_.body_bytes - chunked_bytes_) return fail(fault::body_too_large, ec);
  chunk_left_ = size;
  past_first_chunk_ = true;
}

// To where the chunk before ends: over bytes that Beast has read, and will not read again.
std::size_t request_parser::core::on_chunk_body_impl(std::uint64_t, string_view body, error_code&) {
  std::memmove(base_ + head_end_ + chunked_bytes_, body.data(), body.size());
  chunked_bytes_ += body.size();
  chunk_left_ -= body.size();
  return body.size();
}

fault request_parser::core::reason(const error_code& ec, std::string_view input) noexcept {
  if (why_ != fault::none) return why_;
  if (stage_ == stage::request_line) // the same fault as of a line in pieces
    if (const fault why = check_request_line(input); why != fault::none) return why;
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
    // Beast's word for two different things.
    return framing_ == body_framing::chunked ? fault::length_and_transfer_encoding
                                             : fault::bad_content_length;
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

void request_parser::core::fail(fault why, error_code& ec) noexcept {
  why_ = why;
  ec = beast_http::error::bad_value; // any error stops Beast; the reason is in why_
}

request_parser::span request_parser::core::span_of(std::string_view piece) const noexcept {
  return {static_cast<std::size_t>(piece.data() - base_), piece.size(), true};
}

std::string_view request_parser::core::at(const span& piece) const noexcept {
  return piece.present ? std::string_view(base_ + piece.offset, piece.size) : std::string_view();
}

void request_parser::core::identify(request& out) const noexcept {
  out.verb = verb_;
  out.version = version_;
}

void request_parser::core::describe(std::string_view input, request& out) const noexcept {
  identify(out);
  out.form = form_;
  out.framing = framing_;
  out.keep_alive = !says_close_ && (version_ == http_version::http_1_1 || says_keep_alive_);
  out.method_text = at(method_);
  out.target = at(target_);
  const target_parts parts = split_target(at(path_and_query_));
  out.path = parts.path;
  out.query = parts.query; // plain or not: it is not looked through here
  // RFC 9112 §3.2.2: the target's authority counts, not the Host beside it.
  out.host = at(form_ == target_form::absolute ? authority_ : kept(known_field::host));
  out.origin = at(kept(known_field::origin));
  out.sec_fetch_site = at(kept(known_field::sec_fetch_site));
  out.authorization = at(kept(known_field::authorization));
  out.if_none_match = at(kept(known_field::if_none_match));
  out.is_coded = is_coded_;
  switch (framing_) {
  case body_framing::none:
    out.body = {};
    break;
  case body_framing::content_length:
    out.body = input.substr(head_end_, content_length_);
    break;
  case body_framing::chunked:
    out.body = input.substr(head_end_, chunked_bytes_);
    break;
  }
}

parse_phase request_parser::core::phase() const noexcept {
  switch (stage_) {
  case stage::before:
    return parse_phase::idle;
  case stage::body:
    return parse_phase::body;
  default:
    return parse_phase::head;
  }
}

bool request_parser::core::take_100_continue() noexcept {
  const bool due = awaits_100_ && stage_ == stage::body && framing_ != body_framing::none;
  if (due) awaits_100_ = false;
  return due;
}

// ---- request_parser: one after the other ---------------------------------------------

request_parser::request_parser(const http_limits& limits) noexcept : limits_(limits) {
  core_.emplace(limits_);
}

parse_result request_parser::parse(std::span<char> bytes) noexcept {
  const std::string_view input{bytes.data(), bytes.size()};
  if (core_is_fresh_ && !input.empty()) {
    head_memo& memo = memo_for(input);
    if (const std::size_t consumed = memo.recognise(input, limits_); consumed != 0) {
      current_ = &memo.recognised();
      return {parse_status::complete, fault::none, consumed};
    }
  }
  core_is_fresh_ = false;
  current_ = &request_;
  parse_result result;
  try {
    result = core_->parse(bytes);
  } catch (const std::bad_alloc&) {
    result = {parse_status::refused, fault::out_of_memory, 0};
  }
  if (result.status == parse_status::complete) {
    core_->describe(input, request_);
    memo_for(input).learn(input, core_->head_end(), core_->content_length_text(), request_);
  }
  return result;
}

const request& request_parser::unfinished() noexcept {
  request_ = {};
  core_->identify(request_);
  return request_;
}

std::string_view request_parser::guess_query(std::string_view behind) const noexcept {
  return behind.empty() ? std::string_view{} : memo_for(behind).guess_query(behind);
}

parse_phase request_parser::phase() const noexcept { return core_->phase(); }

bool request_parser::take_100_continue() noexcept { return core_->take_100_continue(); }

const request& request_parser::describe_head(std::string_view input) noexcept {
  core_->describe(input, request_);
  return request_;
}

void request_parser::reset() noexcept {
  if (core_is_fresh_) return;
  core_.emplace(limits_);
  core_is_fresh_ = true;
}

} // namespace kvcache::http
