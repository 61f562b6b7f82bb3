// The ceiling for values of megabytes: what the kernel allows a server that receives a body into
// one buffer, again and again, and sends a reply from where it lies.
//
//   bench_bulk_ceiling PORT THREADS SMALL_REPLY LARGE_REPLY PUT_REPLY
//
// The replies are files. A GET under /kv/ gets the large one, any other GET the small one, a PUT,
// once its body has been discarded, its own. No check, no hash, no memory for the value. Not for
// any other use: it believes every byte it is sent, and expects no pipelines.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/socket_loop.hpp"

using kvcache::bench::file_text;

namespace {

constexpr std::size_t piece_bytes = std::size_t{256} * 1024; // as the daemon receives and sends

struct replies {
  std::string small;
  std::string large;
  std::string put;
};

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
      : texts_(texts), loop_(port), piece_(piece_bytes) {}

  void run() {
    loop_.run([this](connection& peer, std::uint32_t) {
      return peer.output.empty() ? receive(peer) : flush(peer);
    });
  }

private:
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
    loop_.wait_for(peer, EPOLLOUT);
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
      loop_.wait_for(peer, EPOLLIN);
    }
    return true;
  }

  const replies& texts_;
  kvcache::bench::socket_loop<connection> loop_;
  std::vector<char> piece_;
};

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
  kvcache::bench::run_on_threads(threads, [&] { return std::make_unique<worker>(port, texts); });
}
