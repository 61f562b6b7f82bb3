// Caps on connections and on the memory of all of them: the operator's values, lowered to what
// memory allows at the moment. They change while the server runs: server::set_caps().
#pragma once

#include <cstddef>
#include <limits>

namespace kvcache::http {

struct load_caps {
  // Further connections are answered by endpoints with served_when_full only, and closed.
  std::size_t connections_most = std::numeric_limits<std::size_t>::max();

  // Further connections wait in the kernel's queue, so that a burst of peers does not take memory
  // faster than eviction frees it. After deadlines::accept_wait_ms they are treated like those over
  // connections_most.
  std::size_t connections_now = std::numeric_limits<std::size_t>::max();

  // Bytes that all connections may hold in buffers; 0 means no cap. And the highest value that this
  // can take while nothing else needs memory: a request too large even for that is refused for good
  // (413 instead of 503); 0 means no more than buffer_bytes.
  std::size_t buffer_bytes = 0;
  std::size_t buffer_bytes_most = 0;
};

} // namespace kvcache::http
