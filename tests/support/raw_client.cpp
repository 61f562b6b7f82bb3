#include "support/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace kvcache::test {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

// Whether the event occurs in time.
bool wait_for(int fd, short event, std::chrono::milliseconds time) {
  pollfd waits{fd, event, 0};
  int ready = 0;
  do {
    ready = ::poll(&waits, 1, static_cast<int>(time.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) fail("poll");
  return ready > 0;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

} // namespace

raw_client::raw_client(std::uint16_t port, int receive_buffer_bytes)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (fd_ < 0) fail("socket");
  if (receive_buffer_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    ::close(fd_);
    errno = error;
    fail("connect");
  }
}

raw_client::~raw_client() {
  if (fd_ >= 0) ::close(fd_);
}

raw_client::raw_client(raw_client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, patience)) throw std::runtime_error("the peer does not read");
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return false;
    } else if (errno != EINTR) {
      fail("send");
    }
  }
  return true;
}

std::size_t raw_client::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void raw_client::end_sending() { ::shutdown(fd_, SHUT_WR); }

void raw_client::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(std::exchange(fd_, -1));
}

bool raw_client::fill() {
  if (!wait_for(fd_, POLLIN, patience)) throw std::runtime_error("the peer sends nothing");
  char piece[65536];
  const ssize_t got = ::recv(fd_, piece, sizeof(piece), 0);
  if (got < 0) fail("recv");
  received_.append(piece, static_cast<std::size_t>(got));
  return got > 0;
}

http_reply raw_client::read_reply(bool to_head) {
  std::size_t head_end = 0;
  while ((head_end = received_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) throw std::runtime_error("the peer ended before a whole head: " + received_);
  http_reply reply;
  reply.head = received_.substr(0, head_end + 4);
  if (!reply.head.starts_with("HTTP/1.1 ")) throw std::runtime_error("no reply: " + reply.head);
  reply.status = static_cast<unsigned>(std::stoul(reply.head.substr(9, 3)));
  for (std::size_t line = reply.head.find("\r\n") + 2; line < head_end;) {
    const std::size_t end = reply.head.find("\r\n", line);
    const std::size_t colon = reply.head.find(": ", line);
    if (colon >= end) throw std::runtime_error("no field: " + reply.head.substr(line, end - line));
    const auto [at, fresh] = reply.fields.emplace(lower(reply.head.substr(line, colon - line)),
                                                  reply.head.substr(colon + 2, end - colon - 2));
    if (!fresh) throw std::runtime_error("a field twice: " + at->first);
    line = end + 2;
  }
  received_.erase(0, head_end + 4);
  const bool bodiless = to_head || reply.status < 200 || reply.status == 204 || reply.status == 304;
  if (bodiless) return reply;
  const std::size_t length = std::stoul(reply.fields.at("content-length"));
  while (received_.size() < length)
    if (!fill()) throw std::runtime_error("the peer ended before a whole body");
  reply.body = received_.substr(0, length);
  received_.erase(0, length);
  return reply;
}

bool raw_client::await_reply() {
  try {
    return !received_.empty() || fill();
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::connection_reset) return false;
    throw;
  }
}

bool raw_client::receive_some(std::size_t bytes) {
  const std::size_t before = received_.size();
  received_.resize(before + bytes);
  const ssize_t got = ::recv(fd_, received_.data() + before, bytes, MSG_DONTWAIT);
  received_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  return got > 0;
}

std::string raw_client::read_to_end() {
  while (fill()) {
  }
  return std::exchange(received_, {});
}

bool raw_client::is_silent_for(std::chrono::milliseconds time) {
  return received_.empty() && !wait_for(fd_, POLLIN, time);
}

bool raw_client::ends() { return received_.empty() && !fill(); }

std::size_t raw_client::segment_bytes() const {
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  if (::getsockopt(fd_, IPPROTO_TCP, TCP_MAXSEG, &bytes, &size) != 0)
    throw std::runtime_error("no segment size");
  return static_cast<std::size_t>(bytes);
}

http_reply raw_client::ask(std::string_view request) {
  send(request);
  return read_reply();
}

std::string get_request(std::string_view target, std::string_view more_fields) {
  std::string text{"GET "};
  text.append(target).append(" HTTP/1.1\r\nHost: localhost\r\n").append(more_fields);
  return text.append("\r\n");
}

std::string post_request(std::string_view target, std::string_view body,
                         std::string_view more_fields) {
  std::string text{"POST "};
  text.append(target).append(" HTTP/1.1\r\nHost: localhost\r\nContent-Length: ");
  text.append(std::to_string(body.size())).append("\r\n").append(more_fields);
  return text.append("\r\n").append(body);
}

std::string put_request(std::string_view key, std::string_view value) {
  std::string body{R"({"key":")"};
  body.append(key).append(R"(","value":")").append(value).append(R"("})");
  return post_request("/put", body);
}

} // namespace kvcache::test
