#include "http/media_type.hpp"

#include <algorithm>
#include <cstddef>

#include "http/ascii.hpp"
#include "http/field_rules.hpp"

namespace kvcache::http {
namespace {

// RFC 9110 §5.6.4.
constexpr bool is_quoted_byte(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

bool skip(std::string_view& rest, char c) noexcept {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

bool skip_token(std::string_view& rest) noexcept {
  const auto* const end = std::find_if_not(rest.begin(), rest.end(), is_token_byte);
  const auto bytes = static_cast<std::size_t>(end - rest.begin());
  rest.remove_prefix(bytes);
  return bytes != 0;
}

// REQUIRES: the opening quote has been skipped.
bool skip_quoted(std::string_view& rest) noexcept {
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '"') return true;
    if (c == '\\') {
      if (rest.empty() || !is_quoted_byte(rest.front())) return false;
      rest.remove_prefix(1);
    } else if (!is_quoted_byte(c)) {
      return false;
    }
  }
  return false;
}

} // namespace

bool is_media_type(std::string_view text) noexcept {
  std::string_view rest = trimmed(text);
  if (!skip_token(rest) || !skip(rest, '/') || !skip_token(rest)) return false;
  for (rest = trimmed(rest); !rest.empty(); rest = trimmed(rest)) {
    if (!skip(rest, ';')) return false;
    rest = trimmed(rest);
    if (rest.empty() || rest.front() == ';') continue; // parameters may be empty
    if (!skip_token(rest) || !skip(rest, '=')) return false;
    if (skip(rest, '"') ? !skip_quoted(rest) : !skip_token(rest)) return false;
  }
  return true;
}

bool has_essence(std::string_view media_type, std::string_view essence) noexcept {
  return equal_ignoring_case(trimmed(media_type.substr(0, media_type.find(';'))), essence);
}

} // namespace kvcache::http
