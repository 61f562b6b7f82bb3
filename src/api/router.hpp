// From a request's head to the handler of its endpoint, with everything that is checked before: the
// path, the method, the host, the origin of a browser's page, the token, the body's framing.
#pragma once

#include "api/exchange.hpp"

namespace kvcache::http {

// Whether the request is served over the connection limit, too.
bool is_served_when_full(const endpoint_table& endpoints, const request& asked) noexcept;

// Answers one request. Throws only std::bad_alloc, and then nothing was appended.
handled dispatch(exchange& x);

// The same for a request of which only the head is there, its peer waiting to be told to send the
// body: refuses it and returns true if dispatch() would refuse it whatever the body. Throws alike.
bool refuse_by_head(exchange& x);

} // namespace kvcache::http
