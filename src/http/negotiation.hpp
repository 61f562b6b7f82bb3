// Content negotiation (RFC 9110 §12.5): the fields Accept and Accept-Encoding. Pure.
//
// `head`: see visit_lines(). Malformed elements of the lists are ignored.
#pragma once

#include <string_view>

namespace kvcache::http {

// Whether the client rates text/html higher than application/json. Browsers do; a client that
// sends `*/*`, or no Accept, does not.
bool prefers_html(std::string_view head) noexcept;

// Whether the client accepts gzip, and does not rate it below identity.
bool prefers_gzip(std::string_view head) noexcept;

} // namespace kvcache::http
