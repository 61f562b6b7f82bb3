#include "support/service_manager.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace kvcache::test {

namespace {

constexpr const char* pid_variable = "LISTEN_PID";
constexpr std::string_view longest_pid = "2147483647";

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error{errno, std::generic_category(), call};
  return result;
}

// Binds to the path, or to an abstract name that the kernel chooses; returns the name.
std::string bind_local(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  socklen_t bytes = sizeof(sa_family_t);
  if (!path.empty()) bytes = static_cast<socklen_t>(bytes + path.size() + 1);
  checked(::bind(fd, reinterpret_cast<const sockaddr*>(&address), bytes), "bind");
  if (!path.empty()) return path;
  bytes = sizeof(address);
  checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), "getsockname");
  const std::size_t length = bytes - offsetof(sockaddr_un, sun_path);
  return "@" + std::string(address.sun_path + 1, length - 1);
}

} // namespace

notify_socket::notify_socket() : notify_socket(std::string{}) {}

notify_socket::notify_socket(const std::string& path)
    : fd_(checked(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")),
      path_(path),
      name_(bind_local(fd_.get(), path)) {}

notify_socket::~notify_socket() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::string notify_socket::receive() {
  pollfd source{fd_.get(), POLLIN, 0};
  const auto patience = std::chrono::milliseconds{raw_client::patience};
  if (::poll(&source, 1, static_cast<int>(patience.count())) != 1)
    throw std::runtime_error{"the service manager was not notified"};
  char message[4096];
  const auto bytes =
      checked(static_cast<int>(::recv(fd_.get(), message, sizeof(message), 0)), "recv");
  return {message, static_cast<std::size_t>(bytes)};
}

std::string notify_socket::receive_next(std::string_view begin) {
  const auto end = std::chrono::steady_clock::now() + raw_client::patience;
  while (std::chrono::steady_clock::now() < end)
    if (std::string message = receive(); message.starts_with(begin)) return message;
  throw std::runtime_error{"the service manager received no " + std::string{begin}};
}

bool notify_socket::is_empty() const {
  pollfd source{fd_.get(), POLLIN, 0};
  return ::poll(&source, 1, 0) == 0;
}

int notify_socket::fill() {
  const http::unique_fd other{checked(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_un address{};
  socklen_t bytes = sizeof(address);
  auto* to = reinterpret_cast<sockaddr*>(&address);
  checked(::getsockname(fd_.get(), to, &bytes), "getsockname");
  int sent = 0;
  while (::sendto(other.get(), "x", 1, MSG_DONTWAIT, to, bytes) == 1) ++sent;
  return sent;
}

listening_socket::listening_socket()
    : fd_(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* at = reinterpret_cast<sockaddr*>(&address);
  socklen_t bytes = sizeof(address);
  checked(::bind(fd_.get(), at, bytes), "bind");
  checked(::listen(fd_.get(), SOMAXCONN), "listen");
  checked(::getsockname(fd_.get(), at, &bytes), "getsockname");
  port_ = ntohs(address.sin_port);
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv(pid_variable, longest_pid.data(), 1); // of no process: until pass(), nobody is meant
}

listening_socket::~listening_socket() {
  ::unsetenv("LISTEN_FDS");
  ::unsetenv(pid_variable);
}

bool listening_socket::listens() const {
  int value = 0;
  socklen_t bytes = sizeof(value);
  checked(::getsockopt(fd_.get(), SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes), "getsockopt");
  return value == 1;
}

bool listening_socket::has_filter() const {
  socklen_t instructions = 0; // with 0 for the buffer, the kernel returns their number
  checked(::getsockopt(fd_.get(), SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions), "getsockopt");
  return instructions != 0;
}

// In place, since other threads may have held the allocator's locks at the fork.
void listening_socket::pass() const {
  constexpr int first_passed = 3;
  if (fd_.get() == first_passed)
    ::fcntl(first_passed, F_SETFD, 0);
  else
    ::dup2(fd_.get(), first_passed);
  char* const pid = std::getenv(pid_variable);
  *std::to_chars(pid, pid + longest_pid.size(), ::getpid()).ptr = '\0';
}

} // namespace kvcache::test
