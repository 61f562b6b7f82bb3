// Bytes in the kernel for the IPv4 connections to a port of this machine, also of closed sockets.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache::test {

struct socket_queues {
  std::size_t to_send = 0;      // bytes that the peers have not acknowledged
  std::size_t received = 0;     // bytes not yet read
  std::size_t most_to_send = 0; // the largest such number of one connection
  std::size_t most_received = 0;
};

// Of the server's sockets: those with this local port.
socket_queues queues_of(std::uint16_t port);

} // namespace kvcache::test
