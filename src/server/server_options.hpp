// The operator's options of the HTTP server: default, unit, and the cost of raising each. Limits of
// a single request (sizes, counts) are in http_limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "api/api_options.hpp"

namespace kvcache::http {

// All except write_timeout_ms and linger_timeout_ms are absolute: trickling bytes or empty lines
// extends none. A periodic sweep enforces them, so a connection may live up to half a second
// longer, never shorter.
struct deadlines {
  // From the first byte of a request to the end of its head. Raising it lets slow (or hostile)
  // peers hold their connection longer.
  unsigned head_timeout_ms = 10'000;

  // From the end of the head to the end of the body, if that is small; a second more for each MiB
  // of Content-Length, or of bytes received if chunked.
  unsigned body_timeout_ms = 10'000;

  // From a response to the first byte of the next request. Raising it keeps more idle connections.
  unsigned idle_timeout_ms = 60'000;

  // For a peer whose unread responses fill the kernel's buffer: the time within which it must
  // receive 512 bytes. A peer that reads slowly but steadily gets all of them, and none stays
  // longer than one such time per 512 pending bytes. Raising it keeps output for unresponsive peers
  // longer.
  unsigned write_timeout_ms = 10'000;

  // For connections over the limit: from accepting to the end of the request's head, and again for
  // sending the response.
  unsigned health_timeout_ms = 1'000;

  // How long new connections wait in the kernel's queue while memory is short and none is accepted.
  // After that they are treated like those over the connection limit.
  unsigned accept_wait_ms = 1'000;

  // After the final response, input is discarded, so that the response is not lost to a reset. The
  // time within which the peer must send 16 KiB or receive a part of the response.
  unsigned linger_timeout_ms = 2'000;

  // The whole time of a lingering close. Raising it lets clients of larger refused uploads read the
  // response, and peers that never stop sending hold their connection longer.
  unsigned linger_total_ms = 30'000;
};

struct server_options : api_options {
  // Address to listen on, IPv4 or IPv6, no host names. The default is reachable from this machine
  // only.
  std::string bind_address = "127.0.0.1";

  // 0 lets the kernel pick one: see server::local_endpoint().
  std::uint16_t port = 0;

  // Worker threads. More than there are processors costs speed: they wait for each other's locks.
  unsigned threads = 1;

  // Concurrent connections, until server::set_caps() changes it; further ones: health_connections.
  // Each costs up to 6 KiB when idle and, at worst, one largest request and one largest response
  // when busy.
  std::size_t max_connections = 10'000;

  // Connections over max_connections whose request is read: each gets one response, to GET or HEAD
  // of /healthz, /readyz or /metrics, and 503 for anything else or if no request arrives in time.
  std::size_t health_connections = 32;

  // Further connections that get a 503 at once and a lingering close. Health connections count here
  // once they are answered. Connections over this limit, too, get a 503 and are closed at once.
  std::size_t refused_connections = 256;

  // Bytes that all connections together may hold in buffers, the kernel's included, until
  // server::set_caps() changes it; 0 means no cap. Near it, peers that make no use of their memory
  // are closed; at it, a request that needs more gets 503 and its connection is closed. Raising it
  // allows more concurrent large requests and takes the memory from the entries.
  std::size_t max_buffer_bytes = 0;

  // Bytes that the kernel may hold for each connection: of responses that the peer has not
  // received, and of requests that have not been read. The kernel uses up to twice as much memory
  // for them. Raising them helps fast peers far away, and lets those that never read hold more.
  std::size_t send_buffer_bytes = std::size_t{128} << 10;
  std::size_t receive_buffer_bytes = std::size_t{64} << 10;

  deadlines timeouts;

  // With an access log: one in so many requests of a worker is recorded; 1 records all. Each record
  // costs its worker about a microsecond.
  unsigned access_log_sample = 1;

  // How long connections are accepted after begin_drain(), while /readyz already returns 503.
  unsigned drain_delay_ms = 0;

  // From begin_drain() to the end of everything, the delay included.
  unsigned drain_timeout_ms = 8'000;
};

} // namespace kvcache::http
