// The checks that are about where a request comes from and whom it is addressed to. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace kvcache::http {

// Whether a browser sent this for a page of another origin. Programs send neither Sec-Fetch-Site
// nor Origin and pass. Sec-Fetch-Site (W3C Fetch Metadata), where present, decides alone, since a
// proxy may have changed the Host: it must be same-origin or none, and values not known here are
// refused. Without it, Origin (RFC 6454 §7, Fetch §3.2) must name the host that the request is
// addressed to; its scheme is not compared, since a proxy in front of us may speak TLS.
bool is_cross_origin(const request& asked) noexcept;

// Whether the request is addressed to one of `allowed` (without port, in any case); an empty list
// allows every host.
bool is_allowed_host(std::string_view host, const std::vector<std::string>& allowed) noexcept;

} // namespace kvcache::http
