#include "support/socket_queues.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace kvcache::test {

// Lines such as:  1: 0100007F:1C03 0100007F:D431 01 0002D941:00000000 …
socket_queues queues_of(std::uint16_t port) {
  constexpr unsigned listening = 0x0A; // its queues have another meaning
  std::ifstream table{"/proc/net/tcp"};
  std::string line;
  if (!std::getline(table, line)) throw std::runtime_error("no table of connections");
  socket_queues sum;
  while (std::getline(table, line)) {
    unsigned own_port = 0;
    unsigned state = 0;
    unsigned to_send = 0;
    unsigned received = 0;
    constexpr int wanted = 4;
    if (std::sscanf(line.c_str(), " %*u: %*8x:%x %*8x:%*x %x %x:%x", &own_port, &state, &to_send,
                    &received) != wanted)
      throw std::runtime_error("a line that is none: " + line);
    if (own_port != port || state == listening) continue;
    sum.to_send += to_send;
    sum.received += received;
    sum.most_to_send = std::max<std::size_t>(sum.most_to_send, to_send);
    sum.most_received = std::max<std::size_t>(sum.most_received, received);
  }
  return sum;
}

} // namespace kvcache::test
