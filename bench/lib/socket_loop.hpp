// What the ceilings share: threads that each accept connections on one port of this machine, and
// wait for them with epoll. Not for any other use: a fault ends the program.
//
//   socket_loop<connection> loop(port);
//   loop.run([&](connection& peer, std::uint32_t what) { … return is_open; });
//
// Thread-safety: a loop and its connections belong to the thread that runs it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace kvcache::bench {

[[noreturn]] inline void die(const char* what) {
  std::perror(what);
  std::_Exit(1); // no destructors while other threads run; nothing is left to write
}

inline std::string file_text(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.empty()) {
    die(path);
  }
  return text;
}

// `Connection` is made of its socket, which it keeps as `fd`.
template <class Connection>
class socket_loop {
public:
  explicit socket_loop(std::uint16_t port) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
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
      die("cannot listen");
    }
    watch(listener_, nullptr, EPOLL_CTL_ADD, EPOLLIN);
  }

  // For ever. `serve` gets a connection and what epoll says of it; false: the peer is gone.
  template <class Serve>
  void run(Serve serve) {
    std::array<epoll_event, events_per_wait> events{};
    for (;;) {
      const int ready = epoll_wait(epoll_, events.data(), events_per_wait, -1);
      for (int i = 0; i < ready; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        auto* peer = static_cast<Connection*>(event.data.ptr);
        if (peer == nullptr) {
          accept_all();
        } else if (!serve(*peer, event.events)) {
          close(peer->fd);
          delete peer;
        }
      }
    }
  }

  void wait_for(Connection& peer, std::uint32_t what) const {
    watch(peer.fd, &peer, EPOLL_CTL_MOD, what);
  }

private:
  static constexpr int events_per_wait = 64;
  static constexpr int listen_backlog = 4096;

  void watch(int fd, Connection* peer, int operation, std::uint32_t what) const {
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
      watch(fd, new Connection(fd), EPOLL_CTL_ADD, EPOLLIN);
    }
  }

  int epoll_;
  int listener_ = -1;
};

// Runs `make()` objects, one for each thread. All listen before the first one runs.
template <class Make>
[[noreturn]] void run_on_threads(int threads, Make make) {
  std::vector<decltype(make())> workers;
  for (int i = 0; i < threads; ++i) {
    workers.push_back(make());
  }
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&, i] { workers[static_cast<std::size_t>(i)]->run(); });
  }
  workers.front()->run();
  std::abort(); // run() never returns
}

} // namespace kvcache::bench
