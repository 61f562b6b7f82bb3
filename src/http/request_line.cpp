#include "http/request_line.hpp"

#include <algorithm>
#include <array>

#include "http/ascii.hpp"
#include "http/authority.hpp"
#include "http/beast_methods.hpp"
#include "http/field_rules.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view version_pattern = "HTTP/1.#\r\n"; // #: any digit
constexpr std::size_t major_at = 5;
constexpr std::size_t minor_at = 7;

// https is what a proxy that terminates TLS may pass on.
constexpr std::array<std::string_view, 2> absolute_starts{"http://", "https://"};

// As Beast has it: any byte except controls, the space and DEL.
bool is_target_byte(char c) noexcept { return static_cast<unsigned char>(c) > ' ' && c != '\x7F'; }

std::string_view authority_of(std::string_view rest) noexcept {
  return rest.substr(0, rest.find_first_of("/?#"));
}

} // namespace

fault request_line::check(std::string_view input, const http_limits& limits) noexcept {
  input = input.substr(0, start_ + limits.head_bytes);
  const auto read_while = [&](bool (*fits)(char) noexcept) noexcept {
    while (read_to_ < input.size() && fits(input[read_to_])) ++read_to_;
    return read_to_ == input.size();
  };
  if (part_ == part::method) {
    if (read_while(is_token_byte)) return fault::none;
    if (read_to_ == start_ || input[read_to_] != ' ') return fault::bad_method;
    method_text = {start_, read_to_ - start_};
    verb = method_of(boost::beast::http::string_to_verb(method_text.in(input)));
    target = {++read_to_, 0};
    part_ = part::target;
  }
  if (part_ == part::target) {
    const bool unfinished = read_while(is_target_byte);
    target.size = read_to_ - target.offset;
    if (target.size > limits.target_bytes) return fault::target_too_long;
    if (unfinished) return may_become_target(input) ? fault::none : fault::bad_target;
    if (target.size == 0 || input[read_to_] != ' ') return fault::bad_target;
    const bool is_preface =
        method_text.in(input) == "PRI" && target.in(input) == "*"; // RFC 9113 §3.4
    if (input[target.offset] != '/' && !is_preface)
      if (const fault why = check_target(input); why != fault::none) return why;
    ++read_to_;
    part_ = part::version;
  }
  return check_version(input.substr(read_to_, version_pattern.size()));
}

fault request_line::check_version(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == minor_at ? is_decimal(text[i]) : text[i] == version_pattern[i]) continue;
    return i == major_at && is_decimal(text[i]) ? fault::version_not_supported
                                                : fault::bad_request_line;
  }
  if (text.size() == version_pattern.size() && text[minor_at] == '0')
    version = http_version::http_1_0;
  return fault::none;
}

std::size_t request_line::minor_version_at() const noexcept { return read_to_ + minor_at; }

fault request_line::accept(std::string_view input, method read_verb, std::string_view read_method,
                           std::string_view read_target, http_version read_version,
                           const http_limits& limits) noexcept {
  verb = read_verb;
  version = read_version;
  method_text = span_in(input, read_method);
  target = span_in(input, read_target);
  if (target.size > limits.target_bytes) return fault::target_too_long;
  if (read_target.front() != '/') return check_target(input);
  path_and_query = target;
  return fault::none;
}

// Whether the start of a target can still become one that check_target() accepts.
bool request_line::may_become_target(std::string_view input) const noexcept {
  const std::string_view text = target.in(input);
  if (text.empty() || text.front() == '/' || text == "*" || method_text.in(input) == "CONNECT")
    return true;
  return std::ranges::any_of(absolute_starts, [text](std::string_view start) {
    const std::size_t common = std::min(text.size(), start.size());
    if (!equal_ignoring_case(text.substr(0, common), start.substr(0, common))) return false;
    const std::string_view rest = text.substr(common);
    const std::string_view host = authority_of(rest);
    return host.size() == rest.size() || is_authority(host);
  });
}

// RFC 9112 §3.2, the forms other than the ordinary one.
fault request_line::check_target(std::string_view input) noexcept {
  const std::string_view text = target.in(input);
  if (text == "*") {
    form = target_form::asterisk;
    return verb == method::options ? fault::none : fault::asterisk_not_for_options;
  }
  if (method_text.in(input) == "CONNECT") {
    form = target_form::authority;
    return is_authority(text) ? fault::none : fault::bad_target;
  }
  const auto* const start = std::ranges::find_if(absolute_starts, [text](std::string_view each) {
    return equal_ignoring_case(text.substr(0, each.size()), each);
  });
  if (start == absolute_starts.end()) return fault::bad_target;
  const std::string_view rest = text.substr(start->size());
  const std::string_view host = authority_of(rest);
  if (!is_authority(host)) return fault::bad_target;
  form = target_form::absolute;
  authority = span_in(input, host);
  path_and_query = span_in(input, rest.substr(host.size()));
  return fault::none;
}

} // namespace kvcache::http
