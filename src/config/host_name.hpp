// What may stand in --allowed-hosts. Pure.
#pragma once

#include <string_view>

namespace kvcache::config {

// Whether it is the host of an address as browsers and other clients name it, without port: a name
// of letters, digits, '-', '_' and dots (an IPv4 address has that shape, too), or an IPv6 address
// in brackets. Narrower than what a Host field may be (RFC 3986 §3.2.2): whoever writes "*" or
// ".example" means a pattern, and we have none.
bool is_host_name(std::string_view text) noexcept;

} // namespace kvcache::config
