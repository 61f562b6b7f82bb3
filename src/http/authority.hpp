// The authority of a request, host[:port], as in Host or in an absolute target (RFC 9110 §7.2,
// RFC 3986 §3.2). Pure.
#pragma once

#include <string_view>

namespace kvcache::http {

// Whether the text is a host name, an IPv4 address or an IPv6 address in brackets, and perhaps a
// colon and a port up to 65535. The host must not be empty.
bool is_authority(std::string_view text) noexcept;

// The host without ":port".
std::string_view without_port(std::string_view authority) noexcept;

} // namespace kvcache::http
