// The request target: path, query, and the key in it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "http/fault.hpp"
#include "http/http_limits.hpp"
#include "http/maybe_plain.hpp"

namespace kvcache::http {

struct target_parts {
  std::string_view path;  // never empty: "/" where the target has none
  std::string_view query; // without '?'
};

// Splits the path_and_query of a request. A fragment is no part of a request (RFC 9112 §3.2):
// everything behind a '#' is ignored.
target_parts split_target(std::string_view path_and_query) noexcept;
std::string_view path_of(std::string_view path_and_query) noexcept; // as split_target() has it
std::string_view without_fragment(std::string_view text) noexcept;

// The key in a query of the ordinary form, key=…, not decoded; empty in any other form.
std::string_view raw_key(std::string_view query) noexcept;

// Finds the parameter `key` in a query of name=value pairs separated by '&'. '+' is a space, %XX is
// decoded strictly, also in names, the result must be UTF-8, and `key` must not be repeated. Other
// parameters are ignored, but must be well-formed as well. On success `key` points into `query` if
// nothing had to be decoded, else into `scratch`, which keeps its memory between calls. The key of
// a plain query is plain. Throws std::bad_alloc only.
refusal find_key(maybe_plain query, const http_limits& limits, std::string& scratch,
                 std::string_view& key);

// The key that is a path's variable. '+' is itself, %XX is decoded strictly, once, and nothing is
// normalised: an encoded slash is a slash. Otherwise like find_key().
refusal find_path_key(maybe_plain variable, const http_limits& limits, std::string& scratch,
                      std::string_view& key);

} // namespace kvcache::http
