// Everything an operator can set about the HTTP server: default, unit, and what raising it costs.
// What a single request may look like (sizes, counts) is in http_limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "api/api_options.hpp"

namespace kvcache::http {

// All of them but write_timeout_ms and linger_timeout_ms are absolute: a drip of bytes, or of empty
// lines, extends none.
// They are enforced by a sweep, so a connection may live up to half a second longer, never shorter.
struct deadlines {
  // From the first byte of a request to the end of its head. Raising it lets slow (or hostile)
  // peers hold their connection longer.
  unsigned head_timeout_ms = 10'000;

  // From the end of the head to the end of the body.
  unsigned body_timeout_ms = 10'000;

  // Between a reply and the first byte of the next request. Raising it keeps more idle connections.
  unsigned idle_timeout_ms = 60'000;

  // For a peer that has left answers unread until the kernel takes no more: how long it may take
  // less than 512 bytes more of them. So one that reads slowly but steadily gets all of them, and
  // none stays longer than one such time for each 512 bytes that wait for it. Raising it keeps what
  // waits for peers that do not read longer.
  unsigned write_timeout_ms = 10'000;

  // For connections over the limit: from being accepted to the end of the request's head, and again
  // to send the answer.
  unsigned health_timeout_ms = 1'000;

  // How long new connections wait in the kernel's queue while memory for them is short and none is
  // accepted. After that they are treated like those over the connection limit.
  unsigned accept_wait_ms = 1'000;

  // After the last reply of a connection that we close, what the peer still sends is discarded, so
  // that the reply is not lost to a reset: how long the peer may send less than 16 KiB more, or
  // take nothing of the reply.
  unsigned linger_timeout_ms = 2'000;

  // How long it may send in all. Raising it lets larger refused uploads end well, and peers that
  // send for ever hold their connection longer.
  unsigned linger_total_ms = 30'000;
};

struct server_options : api_options {
  // Address to listen on, IPv4 or IPv6, no host names. The default is reachable from this machine
  // only.
  std::string bind_address = "127.0.0.1";

  // 0 lets the kernel pick one: see server::local_endpoint().
  std::uint16_t port = 0;

  // Worker threads. More than there are processors costs speed (the index spins without yielding).
  unsigned threads = 1;

  // Until server::set_caps() says otherwise: connections held at the same time; over it, see
  // health_connections. Each costs up to 6 KiB when idle and, at worst, one largest request
  // and one largest reply when busy.
  std::size_t max_connections = 10'000;

  // Connections over max_connections that are read: each gets one answer, to GET or HEAD of
  // /healthz, /readyz or /metrics, and 503 for anything else or where no request comes in time.
  std::size_t health_connections = 32;

  // Connections over those that get a 503 unasked and a lingering close at the same time, and those
  // that have had it from the ones above; further ones are closed at once behind it.
  std::size_t refused_connections = 256;

  // Bytes that all connections together may hold in buffers, the kernel's included, likewise; 0
  // means no cap. Near it,
  // peers that make no use of what is held for them are cut; a request that needs more when it is
  // reached is answered 503 and its connection closed. Raising it lets more large requests
  // come in at the same time and takes the room from the entries.
  std::size_t max_buffer_bytes = 0;

  // What the kernel may hold for each connection: of replies that the peer has not taken, and of
  // requests that have not been read. It takes up to twice as much memory for them. Raising them
  // lets faster peers far away have more under way, and those that never read hold more.
  std::size_t send_buffer_bytes = std::size_t{128} << 10;
  std::size_t receive_buffer_bytes = std::size_t{64} << 10;

  deadlines timeouts;

  // With an access log: of how many requests of a worker one is told; 1 tells all. Each that is
  // told costs its worker about a microsecond.
  unsigned access_log_sample = 1;

  // How long connections are still accepted after begin_drain(), while /readyz says 503 already.
  unsigned drain_delay_ms = 0;

  // From begin_drain() to the end of everything, the delay included.
  unsigned drain_timeout_ms = 8'000;
};

} // namespace kvcache::http
