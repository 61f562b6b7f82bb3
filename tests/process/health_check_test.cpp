#include "process/health_check.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <thread>

namespace kvcache::config {
namespace {

using namespace std::chrono_literals;

// Listens on a free port of 127.0.0.1, accepts one connection, reads the request and sends its
// response.
class one_response_server {
public:
  explicit one_response_server(std::string response) : response_(std::move(response)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 1);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~one_response_server() {
    if (thread_.joinable()) thread_.join();
    close(listener_);
  }
  one_response_server(const one_response_server&) = delete;
  one_response_server& operator=(const one_response_server&) = delete;

  void start() {
    thread_ = std::thread{[this] {
      const int peer = accept(listener_, nullptr, nullptr);
      std::array<char, 1024> piece{};
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = recv(peer, piece.data(), piece.size(), 0);
        if (got <= 0) break;
        request_.append(piece.data(), static_cast<std::size_t>(got));
      }
      send(peer, response_.data(), response_.size(), MSG_NOSIGNAL);
      close(peer);
    }};
  }
  std::uint16_t port() const { return port_; }
  std::string request() {
    thread_.join();
    return request_;
  }

private:
  std::string response_;
  std::string request_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(health_check, reports_healthy_on_a_200) {
  one_response_server server{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
  server.start();
  const health found = check_health("127.0.0.1", server.port(), 2s);
  EXPECT_TRUE(found.healthy) << found.fault;
  EXPECT_EQ(server.request(), "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" +
                                  std::to_string(server.port()) + "\r\nConnection: close\r\n\r\n");
}

TEST(health_check, reaches_a_server_on_all_interfaces_over_loopback) {
  one_response_server server{"HTTP/1.1 200 OK\r\n\r\n"};
  server.start();
  EXPECT_TRUE(check_health("0.0.0.0", server.port(), 2s).healthy);
  EXPECT_EQ(reachable_address("::"), "::1");
  EXPECT_EQ(reachable_address("0:0:0:0:0:0:0:0"), "::1");
  EXPECT_EQ(reachable_address("192.0.2.1"), "192.0.2.1");
}

TEST(health_check, reports_any_other_response_as_a_fault) {
  for (const char* response : {"HTTP/1.1 503 Service Unavailable\r\n\r\n",
                               "HTTP/1.0 200 OK\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"}) {
    one_response_server server{response};
    server.start();
    const health found = check_health("127.0.0.1", server.port(), 2s);
    EXPECT_FALSE(found.healthy) << response;
    EXPECT_NE(found.fault.find("not 200"), std::string::npos) << found.fault;
  }
}

TEST(health_check, reports_a_close_before_the_response_as_a_fault) {
  one_response_server server{"HTTP"};
  server.start();
  EXPECT_FALSE(check_health("127.0.0.1", server.port(), 2s).healthy);
}

TEST(health_check, times_out_on_a_server_that_does_not_respond) {
  const one_response_server server{""}; // listens, never accepts
  const health found = check_health("127.0.0.1", server.port(), 50ms);
  EXPECT_EQ(found.fault, "the response took too long");
}

TEST(health_check, reports_a_refused_connection) {
  std::uint16_t port = 0;
  {
    const one_response_server gone{""};
    port = gone.port();
  }
  const health found = check_health("127.0.0.1", port, 2s);
  EXPECT_FALSE(found.healthy);
  EXPECT_EQ(found.fault, "connect: Connection refused");
}

TEST(health_check, accepts_only_ip_addresses) {
  EXPECT_FALSE(check_health("localhost", 1, 2s).healthy);
}

} // namespace
} // namespace kvcache::config
