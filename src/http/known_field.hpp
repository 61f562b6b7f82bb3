// The header fields that the request parser acts upon. The values of all others are ignored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace boost::beast::http {
enum class field : unsigned short;
}

namespace kvcache::http {

enum class known_field : std::uint8_t {
  // The parser keeps the values of these; a handler reads them from the request.
  host,
  origin,
  sec_fetch_site,
  authorization,
  if_match,
  if_none_match,
  content_type,
  content_range,
  content_length,
  // The values of these take effect when they are read.
  transfer_encoding,
  connection,
  proxy_connection, // Beast refuses a malformed list
  expect,
  content_encoding,
  // Handlers read all lines of these from the head.
  accept,
  accept_encoding,
  none // every other field
};

inline constexpr std::size_t kept_field_count =
    static_cast<std::size_t>(known_field::content_length) + 1;

known_field known_field_of(boost::beast::http::field name) noexcept;

} // namespace kvcache::http
