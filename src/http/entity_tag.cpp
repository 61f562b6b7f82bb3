#include "http/entity_tag.hpp"

#include <algorithm>
#include <cstddef>

#include "http/ascii.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view weak_mark = "W/";

// RFC 9110 §8.8.3: visible characters but for the quote, and obs-text.
constexpr bool is_tag_byte(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '!' || (byte >= '#' && byte != 0x7F);
}

std::string_view without_weak_mark(std::string_view tag) noexcept {
  if (tag.starts_with(weak_mark)) tag.remove_prefix(weak_mark.size());
  return tag;
}

// How many bytes of the entity tag `text` begins with, without weak mark; 0 if it begins with none.
std::size_t opaque_tag_bytes(std::string_view text) noexcept {
  if (!text.starts_with('"')) return 0;
  const auto* const end = std::find_if_not(text.begin() + 1, text.end(), is_tag_byte);
  return end != text.end() && *end == '"' ? static_cast<std::size_t>(end - text.begin()) + 1 : 0;
}

} // namespace

bool names_entity_tag(std::string_view if_none_match, std::string_view tag) noexcept {
  std::string_view rest = trimmed(if_none_match);
  if (rest == "*") return true;
  tag = without_weak_mark(tag);
  bool named = false;
  while (!rest.empty()) {
    if (rest.front() != ',') { // empty elements are legal (RFC 9110 §5.6.1.2)
      rest = without_weak_mark(rest);
      const std::size_t bytes = opaque_tag_bytes(rest);
      if (bytes == 0) return false;
      named = named || rest.substr(0, bytes) == tag;
      rest = trimmed(rest.substr(bytes));
      if (!rest.empty() && rest.front() != ',') return false;
    }
    if (!rest.empty()) rest = trimmed(rest.substr(1));
  }
  return named;
}

} // namespace kvcache::http
