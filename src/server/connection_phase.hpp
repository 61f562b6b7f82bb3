// The phases of a connection and their timeouts. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "server/server_options.hpp"

namespace kvcache::http {

enum class phase : std::uint8_t {
  serving,  // is new, or has just responded: waits for nothing, has no deadline
  idle,     // waits for the first byte of a request; empty lines before it do not count
  head,     // has part of a head
  body,     // has a head and part of a body
  deferred, // waits for work in the background
  room,     // has a request whose response finds no memory, or a peer that must acknowledge more
  turn,     // has a request that is handled further when other connections had their turn
  sending,  // waits for the peer to receive the pending output
  linger,   // has sent the final response; discards input
  closed
};

// 0: the phase has no timeout. `served`: a request has been answered. `over_limit`: the connection
// is over the connection limit.
inline unsigned timeout_ms(phase in, const deadlines& after, bool served,
                           bool over_limit) noexcept {
  switch (in) {
  case phase::idle:
    if (served) return after.idle_timeout_ms;
    return over_limit ? after.health_timeout_ms
                      : std::min(after.idle_timeout_ms, after.head_timeout_ms);
  case phase::head:
    return after.head_timeout_ms;
  case phase::body:
    return after.body_timeout_ms;
  case phase::sending:
  case phase::room:
    return over_limit ? after.health_timeout_ms : after.write_timeout_ms;
  case phase::linger:
    return after.linger_timeout_ms;
  case phase::deferred:
  case phase::turn:
  case phase::serving:
  case phase::closed:
    break;
  }
  return 0;
}

// How much longer than its timeout a body of this size may take: a second for each MiB.
constexpr std::uint64_t body_time_ms(std::size_t body_bytes) noexcept {
  return std::uint64_t{body_bytes} * 1000 >> 20U;
}

} // namespace kvcache::http
