// The header fields that the request parser acts upon. The values of all others are ignored.
#pragma once

#include <boost/beast/http/field.hpp>

#include <cstddef>
#include <cstdint>

namespace kvcache::http {

enum class known_field : std::uint8_t {
  // The parser keeps the values of these.
  host,
  origin,
  sec_fetch_site,
  authorization,
  if_none_match,
  content_length,
  // The values of these take effect when they are read.
  transfer_encoding,
  connection,
  proxy_connection, // Beast refuses a malformed list
  expect,
  content_encoding,
  none // every other field
};

inline constexpr std::size_t kept_field_count =
    static_cast<std::size_t>(known_field::content_length) + 1;

constexpr known_field known_field_of(boost::beast::http::field name) noexcept {
  using boost::beast::http::field;
  switch (name) {
  case field::host:
    return known_field::host;
  case field::origin:
    return known_field::origin;
  case field::sec_fetch_site:
    return known_field::sec_fetch_site;
  case field::authorization:
    return known_field::authorization;
  case field::if_none_match:
    return known_field::if_none_match;
  case field::content_length:
    return known_field::content_length;
  case field::transfer_encoding:
    return known_field::transfer_encoding;
  case field::connection:
    return known_field::connection;
  case field::proxy_connection:
    return known_field::proxy_connection;
  case field::expect:
    return known_field::expect;
  case field::content_encoding:
    return known_field::content_encoding;
  default:
    return known_field::none;
  }
}

} // namespace kvcache::http
