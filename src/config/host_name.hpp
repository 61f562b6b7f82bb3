// Validates the names of --allowed-hosts. Pure.
#pragma once

#include <string_view>

namespace kvcache::config {

// Whether the text is a host as clients send it, without port: a name of letters, digits, '-', '_'
// and dots (which includes IPv4 addresses), or an IPv6 address in brackets. Narrower than a Host
// field (RFC 3986 §3.2.2): "*" or ".example" is meant as a pattern, and patterns are not supported.
bool is_host_name(std::string_view text) noexcept;

} // namespace kvcache::config
