// Checks of a request's origin and of the host that it names. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace kvcache::http {

// Whether a browser sent this for a page of another origin. Programs send neither Sec-Fetch-Site
// nor Origin and pass. Sec-Fetch-Site (W3C Fetch Metadata), if present, decides alone, since a
// proxy may have changed the Host: it must be same-origin or none; unknown values are refused.
// Without it, Origin (RFC 6454 §7, Fetch §3.2) must name the request's host; its scheme is not
// compared, since a proxy may terminate TLS.
bool is_cross_origin(const request& asked) noexcept;

// Whether the host is one of `allowed` (without port, in any case); an empty list allows every
// host.
bool is_allowed_host(std::string_view host, const std::vector<std::string>& allowed) noexcept;

} // namespace kvcache::http
