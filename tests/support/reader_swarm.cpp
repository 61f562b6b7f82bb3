#include "support/reader_swarm.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "support/raw_client.hpp"

namespace kvcache::test {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} << 10;

class reader {
public:
  reader(std::uint16_t port, const reader_plan& plan) : plan_(plan) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)
      throw std::runtime_error("a reader cannot connect");
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~reader() {
    if (fd_ >= 0) ::close(fd_);
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  int fd() const { return fd_; }
  bool done() const { return answered_ == plan_.body_bytes.size(); }
  bool has_more_to_send() const { return sent_ < may_send(); }

  bool send_some() {
    while (has_more_to_send()) {
      const ssize_t taken = ::send(fd_, plan_.requests.data() + sent_, may_send() - sent_,
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
      if (taken < 0) return errno == EAGAIN;
      sent_ += static_cast<std::size_t>(taken);
    }
    return true;
  }

  // False if the connection is closed.
  bool receive_some(std::vector<char>& piece, swarm_result& result) {
    const ssize_t got = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    std::string_view rest{piece.data(), static_cast<std::size_t>(got)};
    while (!rest.empty()) rest = take(rest, result);
    return true;
  }

private:
  std::size_t may_send() const {
    if (plan_.pipelines) return plan_.requests.size();
    std::size_t bytes = 0;
    for (std::size_t i = 0; i <= answered_ && i < plan_.request_bytes.size(); ++i)
      bytes += plan_.request_bytes[i];
    return bytes;
  }

  std::string_view take(std::string_view bytes, swarm_result& result) {
    if (in_body_) {
      const std::size_t part = std::min(bytes.size(), body_left_);
      body_left_ -= part;
      if (body_left_ == 0) finish(result);
      return bytes.substr(part);
    }
    const std::size_t before = head_.size();
    head_ += bytes;
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return {};
    head_.resize(end + 4);
    const std::size_t at = head_.find("Content-Length: ");
    body_bytes_ = at == std::string::npos ? 0 : std::stoul(head_.substr(at + 16));
    body_left_ = body_bytes_;
    in_body_ = true;
    if (body_left_ == 0) finish(result);
    return bytes.substr(head_.size() - before);
  }

  void finish(swarm_result& result) {
    const bool expected = answered_ < plan_.body_bytes.size();
    if (expected && head_.starts_with("HTTP/1.1 200 ") &&
        body_bytes_ == plan_.body_bytes[answered_])
      ++result.ok;
    else if (head_.starts_with("HTTP/1.1 503 ") && head_.find("Retry-After: ") != std::string::npos)
      ++result.unavailable;
    else if (head_.starts_with("HTTP/1.1 404 "))
      ++result.missed;
    else
      ++result.wrong;
    ++answered_;
    in_body_ = false;
    head_.clear();
  }

  const reader_plan& plan_;
  int fd_ = -1;
  std::size_t sent_ = 0;
  std::size_t answered_ = 0;
  std::string head_;
  bool in_body_ = false;
  std::size_t body_bytes_ = 0;
  std::size_t body_left_ = 0;
};

} // namespace

swarm_result run_readers(std::uint16_t port, const std::vector<reader_plan>& plans) {
  swarm_result result;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const std::unique_ptr<const int, void (*)(const int*)> closes{
      &epoll, [](const int* fd) { ::close(*fd); }};
  std::vector<std::unique_ptr<reader>> readers;
  const auto watch = [&](int operation, reader& each) {
    epoll_event event{};
    event.events = EPOLLIN | (each.has_more_to_send() ? std::uint32_t{EPOLLOUT} : 0U);
    event.data.ptr = &each;
    ::epoll_ctl(epoll, operation, each.fd(), &event);
  };
  for (const reader_plan& plan : plans) {
    readers.push_back(std::make_unique<reader>(port, plan));
    watch(EPOLL_CTL_ADD, *readers.back());
  }
  std::vector<char> piece(piece_bytes);
  std::array<epoll_event, 64> events{};
  constexpr auto patience_ms =
      static_cast<int>(std::chrono::milliseconds{raw_client::patience}.count());
  for (std::size_t open = readers.size(); open > 0;) {
    const int count = ::epoll_wait(epoll, events.data(), events.size(), patience_ms);
    if (count <= 0) throw std::runtime_error("nothing comes for the readers");
    for (int i = 0; i < count; ++i) {
      reader& each = *static_cast<reader*>(events[static_cast<std::size_t>(i)].data.ptr);
      const bool lives = each.receive_some(piece, result) && (each.done() || each.send_some());
      if (!lives && !each.done()) ++result.cut;
      if (!lives || each.done()) {
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, each.fd(), nullptr);
        --open;
      } else {
        watch(EPOLL_CTL_MOD, each);
      }
    }
  }
  return result;
}

} // namespace kvcache::test
