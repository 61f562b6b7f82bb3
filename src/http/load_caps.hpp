// How many connections there may be, and how much all of them may hold: what an operator asks for,
// cut down to what the memory allows at the moment. It changes while the server runs:
// server::set_caps().
#pragma once

#include <cstddef>
#include <limits>

namespace kvcache::http {

struct load_caps {
  // One more than this is answered 503 and closed.
  std::size_t connections_most = std::numeric_limits<std::size_t>::max();

  // One more than this waits in the kernel's queue until there is room for it: a burst of peers may
  // not take memory faster than it can be made.
  std::size_t connections_now = std::numeric_limits<std::size_t>::max();

  // What all connections may hold in buffers; 0 means no cap.
  std::size_t buffer_bytes = 0;
};

} // namespace kvcache::http
