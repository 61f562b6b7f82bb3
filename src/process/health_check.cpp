#include "process/health_check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace kvcache::config {

namespace {

using clock = std::chrono::steady_clock;

class unique_socket {
public:
  explicit unique_socket(int descriptor) noexcept : descriptor_(descriptor) {}
  ~unique_socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  unique_socket(const unique_socket&) = delete;
  unique_socket& operator=(const unique_socket&) = delete;

  int get() const noexcept { return descriptor_; }

private:
  int descriptor_;
};

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const noexcept { return storage.ss_family; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The size stays 0 for an address that is neither.
socket_address parse_address(const std::string& text, std::uint16_t port) {
  socket_address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof(sockaddr_in6);
  }
  return address;
}

health fault(std::string what) { return {false, std::move(what)}; }

health system_fault(const char* what) {
  return fault(std::string{what} + ": " + std::generic_category().message(errno));
}

// True when the socket is ready before the deadline.
bool wait_for(const unique_socket& socket, short events, clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now());
  pollfd waiting{socket.get(), events, 0};
  return left.count() > 0 && poll(&waiting, 1, static_cast<int>(left.count())) == 1;
}

bool connected(const unique_socket& socket) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0) errno = error;
  return errno == 0;
}

health judge(std::string_view answer) {
  constexpr std::string_view good = "HTTP/1.1 200 ";
  if (answer == good) return {true, {}};
  return fault("the answer is not 200 but begins '" + std::string{answer} + "'");
}

} // namespace

std::string reachable_address(const std::string& bind_address) {
  in6_addr parsed{};
  if (bind_address == "0.0.0.0") return "127.0.0.1";
  const bool is_v6 = inet_pton(AF_INET6, bind_address.c_str(), &parsed) == 1;
  return is_v6 && IN6_IS_ADDR_UNSPECIFIED(&parsed) ? "::1" : bind_address;
}

health check_health(const std::string& bind_address, std::uint16_t port,
                    std::chrono::milliseconds time) {
  const auto deadline = clock::now() + time;
  const std::string host = reachable_address(bind_address);
  const socket_address address = parse_address(host, port);
  if (address.size == 0) return fault("'" + host + "' is no IP address");

  const unique_socket socket{
      ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (socket.get() < 0) return system_fault("socket");
  if (connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
    return system_fault("connect");
  }
  if (!wait_for(socket, POLLOUT, deadline)) return fault("connecting took too long");
  if (!connected(socket)) return system_fault("connect");

  const std::string authority =
      (address.family() == AF_INET6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  const std::string request =
      "GET /healthz HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n\r\n";
  // So few bytes always fit into the buffer of a socket just connected.
  if (send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return system_fault("send");
  }

  std::string answer;
  constexpr std::size_t status_line_bytes = std::string_view{"HTTP/1.1 200 "}.size();
  while (answer.size() < status_line_bytes) {
    if (!wait_for(socket, POLLIN, deadline)) return fault("the answer took too long");
    std::array<char, status_line_bytes> piece{};
    const ssize_t got = recv(socket.get(), piece.data(), status_line_bytes - answer.size(), 0);
    if (got < 0) return system_fault("recv");
    if (got == 0) return fault("the connection was closed without an answer");
    answer.append(piece.data(), static_cast<std::size_t>(got));
  }
  return judge(answer);
}

} // namespace kvcache::config
