#include "http/field_rules.hpp"

#include <algorithm>

#include "http/ascii.hpp"

namespace kvcache::http {
namespace {

constexpr byte_set token_bytes("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789!#$%&'*+-.^_`|~");

} // namespace

bool is_token_byte(char c) noexcept { return token_bytes.contains(c); }

fault check_transfer_encoding(std::string_view value) noexcept {
  if (equal_ignoring_case(value, "chunked")) return fault::none;
  bool any = false;
  while (!value.empty()) {
    const std::string_view coding = next_element(value);
    if (coding.empty()) continue;
    any = true;
    const std::size_t parameters = coding.find(';');
    if (!equal_ignoring_case(trimmed(coding.substr(0, parameters)), "chunked")) continue;
    if (!trimmed(value).empty() || parameters != std::string_view::npos)
      return fault::bad_transfer_encoding;
  }
  return any ? fault::unknown_transfer_encoding : fault::bad_transfer_encoding;
}

bool expects_100_continue(std::string_view value) noexcept {
  bool any = false;
  while (!value.empty()) {
    const std::string_view expectation = next_element(value);
    if (expectation.empty()) continue;
    if (!equal_ignoring_case(expectation, "100-continue")) return false;
    any = true;
  }
  return any;
}

bool names_a_coding(std::string_view value) noexcept {
  while (!value.empty()) {
    const std::string_view coding = next_element(value);
    if (!coding.empty() && !equal_ignoring_case(coding, "identity")) return true;
  }
  return false;
}

fault check_field_line(std::string_view line) noexcept {
  if (line.empty()) return fault::none;
  const std::string_view name{line.begin(), std::ranges::find_if_not(line, is_token_byte)};
  if (name.empty() || !line.substr(name.size()).starts_with(':')) return fault::bad_field_line;
  const std::string_view value = line.substr(name.size() + 1);
  const auto* const control = std::ranges::find_if(value, [](char c) {
    return c == '\x7F' || (static_cast<unsigned char>(c) < ' ' && c != '\t');
  });
  if (control != value.end())
    return *control == '\r' ? fault::bad_line_ending : fault::bad_field_value;
  if (!equal_ignoring_case(name, "content-length")) return fault::none;
  const std::string_view length = trimmed(value);
  return !length.empty() && std::ranges::all_of(length, is_decimal) ? fault::none
                                                                    : fault::bad_content_length;
}

bool has_bare_cr(std::string_view text) noexcept {
  for (std::size_t at = 0; (at = text.find('\r', at)) != std::string_view::npos; ++at)
    if (at + 1 < text.size() && text[at + 1] != '\n') return true;
  return false;
}

} // namespace kvcache::http
