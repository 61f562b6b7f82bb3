// Routes a request to the handler of its endpoint, after checking the path, the method, the host,
// the origin of a browser's page, the token, and the body's framing.
#pragma once

#include <cstddef>
#include <memory>

#include "api/body_upload.hpp"
#include "api/exchange.hpp"

namespace kvcache::http {

// Whether the request is served to connections over the connection limit, too.
bool is_served_when_full(const endpoint_table& endpoints, const request& asked) noexcept;

// Answers one request. Throws std::bad_alloc only; nothing is appended then.
handled dispatch(exchange& x);

// For a request whose peer waits for "100 Continue": refuses it and returns true if dispatch()
// would refuse it whatever the body. Throws alike.
bool refuse_by_head(exchange& x);

// For a PUT to a value's path whose body is large: begins to receive it. Null: it has been refused,
// as by refuse_by_head(). Throws alike.
std::unique_ptr<body_upload> start_upload(exchange& x, std::size_t most_bytes);

} // namespace kvcache::http
