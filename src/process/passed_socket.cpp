#include "process/passed_socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace kvcache::config {

namespace {

constexpr int first_passed = 3; // SD_LISTEN_FDS_START

passed_socket refuse(std::string fault) {
  passed_socket refused;
  refused.fault = std::move(fault);
  return refused;
}

// A socket option that is an int; -1 if the descriptor has no such option.
int option_of(int fd, int name) {
  int value = -1;
  socklen_t bytes = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

bool is_tcp(int fd) {
  const int family = option_of(fd, SO_DOMAIN);
  return (family == AF_INET || family == AF_INET6) && option_of(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

} // namespace

passed_socket take_passed_socket(const service_environment& environment) {
  if (!environment.fault.empty()) return refuse(environment.fault);
  if (environment.passed_sockets == 0) return {};
  if (environment.passed_sockets > 1)
    return refuse("LISTEN_FDS is " + std::to_string(environment.passed_sockets) +
                  ", but one socket is served; configure a single ListenStream=");
  const int flags = ::fcntl(first_passed, F_GETFL);
  if (flags < 0 || ::fcntl(first_passed, F_SETFD, FD_CLOEXEC) != 0 ||
      ::fcntl(first_passed, F_SETFL, flags | O_NONBLOCK) != 0)
    return refuse("LISTEN_FDS is 1, but descriptor 3 is unusable: " +
                  std::generic_category().message(errno));
  if (!is_tcp(first_passed))
    return refuse("the socket of LISTEN_FDS is not a TCP socket; configure ListenStream= with an "
                  "IP address and a port");
  if (option_of(first_passed, SO_ACCEPTCONN) != 1)
    return refuse("the socket of LISTEN_FDS does not listen; configure Accept=no");
  passed_socket taken{.fd = http::unique_fd{first_passed}, .address = {}, .fault = {}};
  socklen_t bytes = static_cast<socklen_t>(taken.address.capacity());
  if (::getsockname(first_passed, taken.address.data(), &bytes) != 0)
    return refuse("the socket of LISTEN_FDS has no address: " +
                  std::generic_category().message(errno));
  taken.address.resize(bytes);
  return taken;
}

} // namespace kvcache::config
