#include "server/client_socket.hpp"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

namespace kvcache::http {
namespace {

transfer result_of(ssize_t bytes) noexcept {
  if (bytes >= 0) return {static_cast<std::size_t>(bytes), true};
  return {0, errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR};
}

transfer received(ssize_t bytes) noexcept {
  return bytes == 0 ? transfer{0, false} : result_of(bytes);
}

} // namespace

// Responses are sent whole. Delaying the last segment of one until the peer acknowledges the others
// would only cost time.
client_socket::client_socket(unique_fd fd) noexcept : fd_(std::move(fd)) {
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

transfer client_socket::receive(std::span<char> to) noexcept {
  return received(::recv(fd_.get(), to.data(), to.size(), 0));
}

transfer client_socket::send(std::string_view text) noexcept {
  return result_of(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL));
}

transfer client_socket::send(std::string_view text, std::string_view more) noexcept {
  std::array<iovec, 2> parts{{{const_cast<char*>(text.data()), text.size()},
                              {const_cast<char*>(more.data()), more.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return result_of(::sendmsg(fd_.get(), &message, MSG_NOSIGNAL));
}

transfer client_socket::discard() noexcept {
  std::array<char, 16'384> untouched; // deliberately uninitialised: MSG_TRUNC copies nothing
  return received(::recv(fd_.get(), untouched.data(), untouched.size(), MSG_TRUNC));
}

std::size_t client_socket::input_bytes() const noexcept {
  int bytes = 0;
  return ::ioctl(fd_.get(), FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::uint32_t client_socket::unacknowledged_bytes() const noexcept {
  int bytes = 0;
  return ::ioctl(fd_.get(), SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes) : UINT32_MAX;
}

bool client_socket::read_memory(kernel_memory& out) const noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> held{};
  socklen_t bytes = sizeof(held);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, held.data(), &bytes) != 0) return false;
  out = {held[SK_MEMINFO_RMEM_ALLOC], held[SK_MEMINFO_RCVBUF], held[SK_MEMINFO_WMEM_QUEUED]};
  return true;
}

bool client_socket::end_sending() noexcept { return ::shutdown(fd_.get(), SHUT_WR) == 0; }

void client_socket::reset() noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close();
}

} // namespace kvcache::http
