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
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "lib/socket_loop.hpp"

using kvcache::bench::file_text;

namespace {

constexpr std::size_t input_bytes = std::size_t{64} * 1024;

struct replies {
  std::string get = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 45\r\n\r\n"
                    R"({"status":"OK","key":"fixed","value":"value"})";
  std::string post = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 62\r\n\r\n"
                     R"({"status":"OK","message":"Key inserted/updated successfully."})";
};

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
  worker(std::uint16_t port, const replies& texts) : texts_(texts), loop_(port) {}

  void run() {
    loop_.run([this](connection& peer, std::uint32_t what) { return serve(peer, what); });
  }

private:
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
      loop_.wait_for(peer, waiting ? EPOLLOUT : EPOLLIN);
    }
    return true;
  }

  const replies& texts_;
  kvcache::bench::socket_loop<connection> loop_;
};

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
  kvcache::bench::run_on_threads(threads, [&] { return std::make_unique<worker>(port, texts); });
}
