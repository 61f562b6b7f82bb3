// The JSON bodies of PUT and DELETE. Pure: text in, views or a refusal out.
//
// A body is one JSON object (RFC 8259), UTF-8, with the members
//   key    string, 1 to max_key_chars characters      required
//   value  string, 0 to max_value_chars characters    required in PUT, ignored in DELETE
//   ttl    integer (60, 60.0, 6e1), 1 to max_ttl_s s  optional in PUT, ignored in DELETE
// in any order, each at most once; other members are ignored.
//
// Two readers: a strict single pass for the ordinary shape (no escapes, no other members), and
// nlohmann's SAX parser for everything else. The first accepts or declines, so that all refusals
// come from the second. A differential fuzz test verifies that both agree.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/fault.hpp"
#include "http/http_limits.hpp"

namespace kvcache::http {

struct put_body {
  std::string_view key;
  std::string_view value;
  std::optional<std::chrono::seconds> ttl;

  friend bool operator==(const put_body&, const put_body&) = default;
};

// Memory for decoded strings that differ from the text, kept between calls. One per thread: views
// into it are valid until the next body is read.
struct body_scratch {
  std::string key;
  std::string value;

  std::size_t bytes() const noexcept { return key.capacity() + value.capacity(); }
};

// On success the views in `out` point into `text` or `scratch`. Throws only std::bad_alloc.
refusal parse_put_body(std::string_view text, const http_limits& limits, body_scratch& scratch,
                       put_body& out);
refusal parse_delete_body(std::string_view text, const http_limits& limits, body_scratch& scratch,
                          std::string_view& key);

namespace detail {
// The two readers by themselves, for the tests that compare them. The fast one returns false if it
// declines.
bool read_plain_put_body(std::string_view text, put_body& out) noexcept;
refusal read_any_put_body(std::string_view text, body_scratch& scratch, put_body& out);
} // namespace detail

} // namespace kvcache::http
