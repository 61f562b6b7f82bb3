// The service that a new connection gets, which depends on how many connections exist.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache::http {

enum class admission : std::uint8_t {
  served,

  // Over the connection limit: one request is answered, by an endpoint with served_when_full, or
  // with 503; then the connection ends. So an orchestrator can distinguish a full server from a
  // dead one.
  health_only,

  // Over that limit, too: gets a 503 without a request, and ends.
  refused
};
inline constexpr std::size_t admission_count = 3;

} // namespace kvcache::http
