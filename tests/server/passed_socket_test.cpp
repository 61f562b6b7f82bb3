// A server on a socket that another process has opened, and whose queue outlives the server.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <optional>
#include <string>

#include "support/raw_client.hpp"
#include "support/service_manager.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

http::unique_fd duplicate(const listening_socket& socket) {
  return http::unique_fd{::fcntl(socket.fd(), F_DUPFD_CLOEXEC, 0)};
}

// The server's end of the only connection to the port; negative if there is none.
int accepted_socket(std::uint16_t port) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  for (int fd = 0; fd < static_cast<int>(files.rlim_cur); ++fd) {
    sockaddr_in own{};
    sockaddr_in peer{};
    socklen_t own_bytes = sizeof(own);
    socklen_t peer_bytes = sizeof(peer);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_bytes) == 0 &&
        own.sin_family == AF_INET && ntohs(own.sin_port) == port &&
        ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) == 0)
      return fd;
  }
  return -1;
}

std::size_t option_of(int fd, int name) {
  int value = 0;
  socklen_t bytes = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, SOL_SOCKET, name, &value, &bytes), 0);
  return static_cast<std::size_t>(value);
}

TEST(passed_socket, bounds_the_buffers_of_connections_that_have_waited_for_the_server) {
  const listening_socket socket;
  raw_client early = socket.connect();
  http::server_options options;
  options.send_buffer_bytes = 32'768;
  options.receive_buffer_bytes = 16'384;
  test_server server{options, {}, http::product_endpoints, duplicate(socket)};
  EXPECT_EQ(server.port(), socket.port());
  EXPECT_EQ(early.ask(get_request("/healthz")).status, 200U);
  const int accepted = accepted_socket(socket.port());
  ASSERT_GE(accepted, 0);
  EXPECT_EQ(option_of(accepted, SO_SNDBUF), 2 * options.send_buffer_bytes);
  EXPECT_EQ(option_of(accepted, SO_RCVBUF), 2 * options.receive_buffer_bytes);
}

TEST(passed_socket, keeps_listening_and_its_queue_when_the_server_drains_or_is_stopped) {
  const listening_socket socket;
  for (const bool drains : {true, false}) {
    {
      test_server server{{}, {}, http::product_endpoints, duplicate(socket)};
      EXPECT_EQ(socket.connect().ask(get_request("/healthz")).status, 200U);
      if (drains)
        server.server().begin_drain();
      else
        server.server().stop();
      server.server().wait();
    }
    EXPECT_TRUE(socket.listens());
    EXPECT_FALSE(socket.has_filter());
    raw_client waiting = socket.connect();
    waiting.send(get_request("/readyz"));
    test_server next{{}, {}, http::product_endpoints, duplicate(socket)};
    EXPECT_EQ(waiting.read_reply().status, 200U);
  }
}

} // namespace
} // namespace kvcache::test
