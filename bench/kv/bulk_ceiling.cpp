// The ceiling for values of megabytes: what the kernel allows a server that receives a body into
// one buffer, again and again, and sends a reply from where it lies.
//
//   bench_bulk_ceiling PORT THREADS SMALL_REPLY LARGE_REPLY PUT_REPLY
//
// The replies are files. A GET under /kv/ gets the large one, any other GET the small one, a PUT,
// once its body has been discarded, its own. No check, no hash, no memory for the value. Not for
// any other use: it believes every byte it is sent, and expects no pipelines.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t piece_bytes = std::size_t{256} * 1024; // as the daemon receives and sends
constexpr int events_per_wait = 64;
constexpr int listen_backlog = 4096;

struct replies {
  std::string small;
  std::string large;
  std::string put;
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

// One peer. Touched by the thread that accepted it alone.
struct connection {
  explicit connection(int socket) : fd(socket) {}
  int fd;
  std::string head;           // of the request that arrives
  std::size_t body_bytes = 0; // still to be discarded
  bool in_body = false;
  std::string_view output; // still to be sent
};

std::size_t length_in(std::string_view head) {
  constexpr std::string_view field = "\r\nContent-Length: ";
  const auto at = head.find(field);
  return at == std::string_view::npos ? 0
                                      : std::strtoull(head.data() + at + field.size(), nullptr, 10);
}

class worker {
public:
  worker(std::uint16_t port, const replies& texts)
      : texts_(texts), epoll_(epoll_create1(EPOLL_CLOEXEC)), piece_(piece_bytes) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (epoll_ < 0 || listener_ < 0 ||
        bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, listen_backlog) != 0) {
      die("bench_bulk_ceiling: cannot listen");
    }
    watch(listener_, nullptr, EPOLL_CTL_ADD, EPOLLIN);
  }

  void run() {
    std::array<epoll_event, events_per_wait> events{};
    for (;;) {
      const int ready = epoll_wait(epoll_, events.data(), events_per_wait, -1);
      for (int i = 0; i < ready; ++i) {
        auto* peer = static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (peer == nullptr) {
          accept_all();
        } else if (!(peer->output.empty() ? receive(*peer) : flush(*peer))) {
          close(peer->fd);
          delete peer;
        }
      }
    }
  }

private:
  void watch(int fd, connection* peer, int operation, std::uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.ptr = peer;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void accept_all() const {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        return;
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(fd, new connection(fd), EPOLL_CTL_ADD, EPOLLIN);
    }
  }

  // One piece at a time. False: the peer is gone.
  bool receive(connection& peer) {
    const ssize_t got = recv(peer.fd, piece_.data(), piece_.size(), 0);
    if (got <= 0) {
      return got < 0 && errno == EAGAIN;
    }
    auto bytes = static_cast<std::size_t>(got);
    if (!peer.in_body) {
      peer.head.append(piece_.data(), bytes);
      const auto end = peer.head.find("\r\n\r\n");
      if (end == std::string::npos) {
        return true;
      }
      bytes = peer.head.size() - end - 4;
      peer.body_bytes = length_in(std::string_view(peer.head).substr(0, end));
      peer.in_body = true;
    }
    peer.body_bytes -= std::min(peer.body_bytes, bytes);
    if (peer.body_bytes != 0) {
      return true;
    }
    peer.in_body = false;
    peer.output = peer.head.front() == 'P'            ? texts_.put
                  : peer.head.starts_with("GET /kv/") ? texts_.large
                                                      : texts_.small;
    peer.head.clear();
    watch(peer.fd, &peer, EPOLL_CTL_MOD, EPOLLOUT);
    return flush(peer);
  }

  bool flush(connection& peer) const {
    const auto piece = peer.output.substr(0, piece_bytes);
    const ssize_t sent = send(peer.fd, piece.data(), piece.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      return errno == EAGAIN;
    }
    peer.output.remove_prefix(static_cast<std::size_t>(sent));
    if (peer.output.empty()) {
      watch(peer.fd, &peer, EPOLL_CTL_MOD, EPOLLIN);
    }
    return true;
  }

  const replies& texts_;
  int epoll_;
  int listener_ = -1;
  std::vector<char> piece_;
};

std::string file_text(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.empty()) {
    die(path);
  }
  return text;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: bench_bulk_ceiling PORT THREADS SMALL_REPLY LARGE_REPLY PUT_REPLY\n",
               stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const int threads = std::atoi(argv[2]);
  const replies texts{file_text(argv[3]), file_text(argv[4]), file_text(argv[5])};
  std::vector<std::unique_ptr<worker>> workers;
  for (int i = 0; i < threads; ++i) {
    workers.push_back(std::make_unique<worker>(port, texts));
  }
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&, i] { workers[static_cast<std::size_t>(i)]->run(); });
  }
  workers.front()->run();
}
