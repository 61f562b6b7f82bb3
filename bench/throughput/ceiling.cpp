// The ceiling: the fastest server the kernel allows with epoll, for everything else to be held
// against.
//
//   bench_ceiling PORT [THREADS [GET_REPLY_FILE POST_REPLY_FILE]]
//
// It does what no HTTP server can avoid (find the end of each request, send as many bytes as a real
// answer has) and nothing else: no routing, no checks, no store. Each thread has its own epoll set
// and its own SO_REUSEPORT listener. The replies can be given as files, so that they have exactly
// the bytes of the server it is compared with. Not for any other use: it believes every byte it is
// sent.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t input_bytes = std::size_t{64} * 1024;
constexpr int events_per_wait = 64;
constexpr int listen_backlog = 4096;

struct replies {
  std::string get = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 45\r\n\r\n"
                    R"({"status":"OK","key":"fixed","value":"value"})";
  std::string post = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 62\r\n\r\n"
                     R"({"status":"OK","message":"Key inserted/updated successfully."})";
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1); // no destructors while other threads run; nothing is left to write
}

// One peer. Touched by the thread that accepted it alone.
struct connection {
  explicit connection(int socket) : fd(socket) {}
  int fd;
  std::size_t filled = 0; // bytes of `input` that hold requests not yet answered
  std::string output;     // what the kernel would not take yet
  std::array<char, input_bytes> input{};
};

// Bytes of the request at the front of `text`, or 0 where it is not complete.
std::size_t request_bytes(std::string_view text) {
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos) {
    return 0;
  }
  std::size_t bytes = head_end + 4;
  if (text.front() == 'P') {
    constexpr std::string_view length_field = "\r\nContent-Length: ";
    const auto field = text.substr(0, head_end).find(length_field);
    if (field != std::string_view::npos) {
      bytes += std::strtoul(text.data() + field + length_field.size(), nullptr, 10);
    }
  }
  return bytes <= text.size() ? bytes : 0;
}

class worker {
public:
  worker(std::uint16_t port, const replies& texts)
      : texts_(texts), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
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
      die("bench_ceiling: cannot listen");
    }
    watch(listener_, nullptr, EPOLL_CTL_ADD, EPOLLIN);
  }

  void run() {
    std::array<epoll_event, events_per_wait> events{};
    for (;;) {
      const int ready = epoll_wait(epoll_, events.data(), events_per_wait, -1);
      for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        auto* peer = static_cast<connection*>(event.data.ptr);
        if (peer == nullptr) {
          accept_all();
        } else if (!serve(*peer, event.events)) {
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

  // Answers everything that has arrived, with one send. False: the peer is gone.
  bool serve(connection& peer, std::uint32_t what) const {
    if ((what & EPOLLOUT) != 0) {
      return flush(peer, true);
    }
    const ssize_t got =
        recv(peer.fd, peer.input.data() + peer.filled, input_bytes - peer.filled, 0);
    if (got <= 0) {
      return got < 0 && errno == EAGAIN;
    }
    peer.filled += static_cast<std::size_t>(got);
    std::size_t used = 0;
    while (used < peer.filled) {
      const std::string_view rest(peer.input.data() + used, peer.filled - used);
      const std::size_t bytes = request_bytes(rest);
      if (bytes == 0) {
        break;
      }
      peer.output += rest.front() == 'P' ? texts_.post : texts_.get;
      used += bytes;
    }
    if (used == 0) {
      return peer.filled < input_bytes;
    }
    peer.filled -= used;
    std::memmove(peer.input.data(), peer.input.data() + used, peer.filled);
    return flush(peer, false);
  }

  bool flush(connection& peer, bool was_waiting) const {
    const ssize_t sent = send(peer.fd, peer.output.data(), peer.output.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
      return false;
    }
    const auto taken = sent < 0 ? std::size_t{0} : static_cast<std::size_t>(sent);
    const bool waiting = taken < peer.output.size();
    peer.output.erase(0, taken);
    if (waiting != was_waiting) {
      watch(peer.fd, &peer, EPOLL_CTL_MOD, waiting ? EPOLLOUT : EPOLLIN);
    }
    return true;
  }

  const replies& texts_;
  int epoll_;
  int listener_ = -1;
};

std::string file_text(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.empty()) {
    die(path);
  }
  return text;
}

void raise_open_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3 && argc != 5) {
    std::fputs("usage: bench_ceiling PORT [THREADS [GET_REPLY_FILE POST_REPLY_FILE]]\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  replies texts;
  if (argc == 5) {
    texts.get = file_text(argv[3]);
    texts.post = file_text(argv[4]);
  }
  raise_open_file_limit();
  std::vector<std::unique_ptr<worker>> workers;
  workers.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    workers.push_back(std::make_unique<worker>(port, texts));
  }
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&, i] { workers[static_cast<std::size_t>(i)]->run(); });
  }
  workers.front()->run();
}
