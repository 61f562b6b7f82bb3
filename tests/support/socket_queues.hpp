// What the kernel holds for the connections to a port of this machine, over IPv4, whoever owns them
// and also when nobody does any more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcache::test {

struct socket_queues {
  std::size_t to_send = 0;      // bytes that the peers have not acknowledged
  std::size_t received = 0;     // bytes that nobody has read
  std::size_t most_to_send = 0; // the same, of the connection with most
  std::size_t most_received = 0;
};

// Of the server's ends: the sockets whose own port it is.
socket_queues queues_of(std::uint16_t port);

} // namespace kvcache::test
