#include "http/chunk_line.hpp"

#include <algorithm>

#include "http/ascii.hpp"
#include "http/field_rules.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view crlf = "\r\n";

// The text behind a chunk's size: extensions, or the end of the line.
fault check_behind_size(std::string_view text) noexcept {
  if (text.empty() || text.front() == ';') return fault::none;
  if (text.front() == '\r')
    return crlf.starts_with(text.substr(0, crlf.size())) ? fault::none : fault::bad_line_ending;
  if (!is_blank(text.front())) return fault::bad_chunk;
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1); // RFC 9112 §7.1.1: BWS
  return text.empty() || text.front() == ';' ? fault::none : fault::bad_chunk_extension;
}

} // namespace

fault check_chunk_line(std::string_view text, bool after_chunk) noexcept {
  if (after_chunk) {
    if (!text.starts_with(crlf.substr(0, text.size()))) return fault::bad_chunk;
    text.remove_prefix(std::min(text.size(), crlf.size()));
  }
  if (text.empty()) return fault::none;
  const std::string_view digits{text.begin(), std::ranges::find_if_not(text, is_hex_digit)};
  if (digits.empty()) return fault::bad_chunk;
  if (const fault why = check_behind_size(text.substr(digits.size())); why != fault::none)
    return why;
  const std::size_t end = text.find('\n');
  if (has_bare_cr(text.substr(0, end))) return fault::bad_line_ending;
  if (end == std::string_view::npos) return fault::none;
  if (text[end - 1] != '\r') return fault::bad_chunk;
  if (digits.find_first_not_of('0') != std::string_view::npos) return fault::none;
  // The last chunk: trailers follow, up to an empty line.
  const std::string_view trailers =
      text.substr(end - 1, text.find("\r\n\r\n", end - 1) - (end - 1));
  for (std::size_t at = crlf.size(); (at = trailers.find('\n', at)) != std::string_view::npos; ++at)
    if (trailers[at - 1] != '\r') return fault::bad_line_ending;
  return has_bare_cr(trailers) ? fault::bad_line_ending : fault::none;
}

bool are_chunk_extensions(std::string_view text) noexcept {
  return std::ranges::all_of(
      text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 ? c != '\x7F' : c == '\t'; });
}

} // namespace kvcache::http
