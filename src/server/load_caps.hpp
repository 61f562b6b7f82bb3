// How many connections there may be, and how much all of them may hold: what an operator asks for,
// cut down to what the memory allows at the moment. It changes while the server runs:
// server::set_caps().
#pragma once

#include <cstddef>
#include <limits>

namespace kvcache::http {

struct load_caps {
  // One more than this is answered about the server's health only, and closed.
  std::size_t connections_most = std::numeric_limits<std::size_t>::max();

  // One more than this waits in the kernel's queue until there is room for it: a burst of peers may
  // not take memory faster than it can be made. Where none is made within
  // deadlines::accept_wait_ms, it is answered like one over connections_most.
  std::size_t connections_now = std::numeric_limits<std::size_t>::max();

  // What all connections may hold in buffers at the moment; 0 means no cap. And what that can
  // become where nothing else needs memory: a request that is too large even for that is refused
  // for good; 0 means no more than at the moment.
  std::size_t buffer_bytes = 0;
  std::size_t buffer_bytes_most = 0;
};

} // namespace kvcache::http
