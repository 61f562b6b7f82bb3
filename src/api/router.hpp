// From method and path to handler, with everything that is checked before one: the path, the
// method, the host asked for, the origin of a browser's page, the token.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "api/exchange.hpp"
#include "api/permission.hpp"
#include "http/request.hpp"

namespace kvcache::http {

// Each path has one method; HEAD goes with GET, and OPTIONS with all.
struct route {
  std::string_view path;
  observe::operation operation; // under which its responses are counted
  method verb;
  permission needs; // none: open to everyone, under any host name
  handled (*handle)(exchange&);
  fault (*closed)(const shared_state&) = nullptr; // why the server's options keep all out, if so
};

// Its reply is written when the cache has been flushed: who writes it then must know the path.
inline constexpr std::string_view flush_path = "/flush";

// THE table of endpoints; the API's documentation is checked against it.
std::span<const route> routes() noexcept;

// The path as it stands in the table; empty if it does not.
std::string_view known_path(std::string_view path) noexcept;

// Under which a refusal of a request for this path is counted.
observe::operation operation_of(std::string_view path) noexcept;

// Whether the request is one of those that are answered over the connection limit, too: GET or HEAD
// of /healthz, /readyz or /metrics.
bool asks_for_health(const request& asked) noexcept;

// Answers one request. Throws only std::bad_alloc, and then nothing was appended.
handled dispatch(exchange& x);

// The same for a request of which only the head is there, its peer waiting to be told to send the
// body: refuses it and says true if dispatch() would refuse it whatever the body. Throws alike.
bool refuse_by_head(exchange& x);

} // namespace kvcache::http
