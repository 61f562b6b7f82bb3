#include "http/target.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "http/percent.hpp"
#include "http/swar.hpp"
#include "http/utf8.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view key_name = "key";

// Nearly every query begins like this. Compared at a constant length, which needs no call.
constexpr std::string_view ordinary_start = "key=";

bool has_ordinary_start(std::string_view query) noexcept {
  return query.size() >= ordinary_start.size() &&
         std::memcmp(query.data(), ordinary_start.data(), ordinary_start.size()) == 0;
}

refusal check_key(std::string_view key, const http_limits& limits) noexcept {
  if (key.empty()) return {fault::empty_key};
  if (utf8::longer_than(key, limits.max_key_chars)) return {fault::key_or_value_too_long};
  return {};
}

// Whether decoding leaves the text unchanged.
bool is_unescaped(std::string_view text) noexcept {
  if (text.size() >= swar::word_bytes) return swar::none_marked(text, swar::special_in_query);
  return std::ranges::none_of(text, [](char c) {
    return c == '&' || c == '%' || c == '+' || static_cast<unsigned char>(c) >= 0x80;
  });
}

} // namespace

std::string_view without_fragment(std::string_view text) noexcept {
  return text.substr(0, text.find('#'));
}

target_parts split_target(std::string_view path_and_query) noexcept {
  path_and_query = without_fragment(path_and_query);
  const std::size_t mark = path_and_query.find('?');
  target_parts parts;
  parts.path = path_and_query.substr(0, mark);
  if (mark != std::string_view::npos) parts.query = path_and_query.substr(mark + 1);
  if (parts.path.empty()) parts.path = "/"; // RFC 9112 §3.2.1
  return parts;
}

std::string_view path_of(std::string_view path_and_query) noexcept {
  const std::string_view path = path_and_query.substr(0, path_and_query.find_first_of("?#"));
  return path.empty() ? "/" : path;
}

std::string_view raw_key(std::string_view query) noexcept {
  if (!has_ordinary_start(query)) return {};
  query.remove_prefix(ordinary_start.size());
  return query;
}

refusal find_key(maybe_plain asked, const http_limits& limits, std::string& scratch,
                 std::string_view& key) {
  std::string_view query = asked.text;
  if (has_ordinary_start(query) && (asked.is_plain || is_unescaped(raw_key(query)))) {
    key = raw_key(query);
    return check_key(key, limits);
  }
  // All parameters are decoded into one string. The key is noted by offset, since the string may
  // move while it grows.
  scratch.clear();
  bool found = false;
  std::size_t key_offset = 0;
  std::size_t key_bytes = 0;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
    const std::size_t equals = parameter.find('=');

    const std::size_t start = scratch.size();
    if (!append_decoded(parameter.substr(0, equals), plus_sign::space, scratch))
      return {fault::bad_percent_escape};
    const std::size_t name_bytes = scratch.size() - start;
    if (equals != std::string_view::npos &&
        !append_decoded(parameter.substr(equals + 1), plus_sign::space, scratch))
      return {fault::bad_percent_escape};
    const std::string_view decoded = std::string_view(scratch).substr(start);
    // Checked separately: a sequence must not begin in the name and end in the value.
    if (!utf8::is_valid(decoded.substr(0, name_bytes)) ||
        !utf8::is_valid(decoded.substr(name_bytes)))
      return {fault::query_not_utf8};

    if (decoded.substr(0, name_bytes) != key_name) {
      scratch.resize(start);
      continue;
    }
    if (found) return {fault::repeated_key_parameter};
    found = true;
    key_offset = start + name_bytes;
    key_bytes = decoded.size() - name_bytes;
  }
  if (!found) return {fault::missing_key_parameter};
  key = std::string_view(scratch).substr(key_offset, key_bytes);
  return check_key(key, limits);
}

refusal find_path_key(maybe_plain variable, const http_limits& limits, std::string& scratch,
                      std::string_view& key) {
  key = variable.text;
  if (!variable.is_plain) {
    if (key.find('%') != std::string_view::npos) {
      scratch.clear();
      if (!append_decoded(key, plus_sign::literal, scratch)) return {fault::bad_path_escape};
      key = scratch;
    }
    if (!utf8::is_valid(key)) return {fault::path_not_utf8};
  }
  return check_key(key, limits);
}

} // namespace kvcache::http
