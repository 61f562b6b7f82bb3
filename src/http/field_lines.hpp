// Reads all lines of one header field: the lines of a list count as one list (RFC 9110 §5.3).
#pragma once

#include <cstddef>
#include <string_view>

#include "http/ascii.hpp"

namespace kvcache::http {

// Calls `visit` with the value of each line of the field, without blanks around it, until it
// returns false. `head`: a request line and field lines, each ended by CRLF, or
// request::field_lines. `name` in any case.
template <class Visitor>
void visit_lines(std::string_view head, std::string_view name, Visitor visit) noexcept {
  constexpr std::string_view line_end = "\r\n";
  std::size_t at = head.find(line_end); // of the request line
  while (at != std::string_view::npos) {
    head.remove_prefix(at + line_end.size());
    at = head.find(line_end);
    const std::string_view line = head.substr(0, at);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!equal_ignoring_case(line.substr(0, name.size()), name)) continue;
    if (!visit(trimmed(line.substr(name.size() + 1)))) return;
  }
}

} // namespace kvcache::http
