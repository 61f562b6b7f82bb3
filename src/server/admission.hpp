// As what a connection is admitted: which depends on how many there are already.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache::http {

enum class admission : std::uint8_t {
  served,

  // Over the connection limit: one request is answered, as it should be if it asks for the server's
  // health and 503 otherwise, and the connection ends. So an orchestrator can tell a full server
  // from a dead one.
  health_only,

  // Over that, too: answered 503 without a request, and ended.
  refused
};
inline constexpr std::size_t admission_count = 3;

} // namespace kvcache::http
