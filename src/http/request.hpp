// One request, as views into the connection's input or into its parser.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/http_limits.hpp"
#include "http/known_field.hpp"
#include "http/maybe_plain.hpp"

namespace kvcache::http {

struct route; // api/endpoint_table.hpp

// The router's decision that a head may pass, and the generation of tokens that it rests on
// (token_view::generation).
struct grant {
  static constexpr std::uint64_t never = UINT64_MAX; // no generation: nothing is decided yet

  const route* to = nullptr;
  std::uint64_t generation = never;

  // If not 0: the decision holds for every path that begins with this many bytes of this one.
  std::size_t fixed_path_bytes = 0;
};

enum class method : std::uint8_t { get, head, post, put, del, options, other };
inline constexpr std::size_t method_count = static_cast<std::size_t>(method::other) + 1;

// "GET"; empty for `other`.
constexpr std::string_view name_of(method verb) noexcept {
  constexpr std::array<std::string_view, method_count> names{"GET",    "HEAD",    "POST", "PUT",
                                                             "DELETE", "OPTIONS", ""};
  return names[static_cast<std::size_t>(verb)];
}

// Of a request with a body. By the text as it is: such paths have no other spelling.
constexpr body_kind kind_of(method verb, std::string_view path_and_query) noexcept {
  if (verb == method::put && path_and_query.starts_with(http_limits::value_path))
    return body_kind::value;
  const std::string_view path = path_and_query.substr(0, path_and_query.find('?'));
  if (verb == method::post && path == http_limits::batch_path) return body_kind::batch;
  return body_kind::single;
}

// RFC 9112 §3.2. Only OPTIONS may come with asterisk, only CONNECT with authority; both are
// checked.
enum class target_form : std::uint8_t { origin, absolute, asterisk, authority };

enum class http_version : std::uint8_t { http_1_0, http_1_1 };

enum class body_framing : std::uint8_t { none, content_length, chunked };

struct request {
  method verb = method::other;
  http_version version = http_version::http_1_1;
  target_form form = target_form::origin;
  body_framing framing = body_framing::none;
  bool keep_alive = true; // as the client asks; a server that drains may close nevertheless
  bool is_coded = false;  // Content-Encoding names a coding other than identity
  body_kind kind = body_kind::single; // of a body, if there is one
  bool path_is_plain = false;         // see maybe_plain; false: not known

  std::string_view method_text;
  std::string_view target; // as received
  std::string_view path;   // of the target, never empty: "/" where it has none
  maybe_plain query;       // of the target, without '?' and fragment
  std::string_view host;   // of an absolute-form target, else of the Host field; "" only in
                           // HTTP/1.0 without Host
  std::string_view body;

  // The head from the end of the request line on: CRLF, each field line with its CRLF, and CRLF.
  // For known fields that several lines make up: the values of others, and the length, may be those
  // of an earlier head.
  std::string_view field_lines;

  // The values of the fields that the parser keeps; of a field that is repeated, the first.
  std::array<std::string_view, kept_field_count> fields;

  // data() == nullptr: the request has no such field.
  std::string_view operator[](known_field field) const noexcept {
    return fields[static_cast<std::size_t>(field)];
  }

  // Where the router notes its decision on heads that differ from this one only in the query, the
  // length of the body and the values of fields that the parser ignores; null if the parser does
  // not remember this head. For the router only.
  grant* granted = nullptr;
};

} // namespace kvcache::http
