// One small handler for each endpoint. Each writes exactly one reply (or asks for flushing), sets
// its status and says what becomes of the connection, which counts the response. All of them throw
// only std::bad_alloc, and then have appended nothing.
#pragma once

#include "api/exchange.hpp"

namespace kvcache::http::handlers {

handled get(exchange& x);
handled put(exchange& x);
handled erase(exchange& x); // POST /delete
handled flush(exchange& x);
fault flush_closed(const shared_state& shared) noexcept; // fault::none where flushing is enabled
handled healthz(exchange& x);
handled readyz(exchange& x);
handled stats(exchange& x);
handled metrics(exchange& x);
handled openapi(exchange& x);

// The reply to a flush that has removed `entries`.
void flushed(output_buffer& out, handler_context& context, std::size_t entries, reply_options how);

} // namespace kvcache::http::handlers
