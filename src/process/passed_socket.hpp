// The listening socket that a service manager passes to the service (socket activation). It stays
// open in the manager while the service restarts, and connections wait in its queue meanwhile.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <string>

#include "process/service_environment.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::config {

struct passed_socket {
  http::unique_fd fd{-1}; // negative: none
  boost::asio::ip::tcp::endpoint address;
  std::string fault; // why the service must not start; empty: none
};

// Takes over descriptor 3, if the environment announces one socket. It is non-blocking afterwards,
// and closed when another program is executed.
// REQUIRES: no descriptor has been opened since the start, except 0 to 2.
passed_socket take_passed_socket(const service_environment& environment);

} // namespace kvcache::config
