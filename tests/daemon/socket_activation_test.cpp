// The real program with the listening socket of another process. The test is that process: its
// socket stays open while instances of the program come and go.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "daemon/running_program.hpp"
#include "support/raw_client.hpp"
#include "support/service_manager.hpp"

namespace kvcache::tests {
namespace {

using test::get_request;
using test::listening_socket;
using test::raw_client;

std::unique_ptr<running_program> start(const listening_socket& socket,
                                       std::vector<std::string> arguments = {}) {
  arguments.emplace_back("--threads=2");
  return std::make_unique<running_program>(arguments, [&socket] { socket.pass(); });
}

// Announces descriptor 3 with `number` sockets, after `prepare` has filled it.
struct refused {
  int exit_code = -1;
  std::string output;
};

refused start_with(const char* number, const std::function<void()>& prepare) {
  running_program program{{"--port=0"}, [number, &prepare] {
                            ::setenv("LISTEN_FDS", number, 1);
                            ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
                            prepare();
                          }};
  refused result;
  result.output = program.read_to_end();
  result.exit_code = program.wait_for_end();
  return result;
}

void put_at_3(int fd) {
  if (fd == 3)
    ::fcntl(fd, F_SETFD, 0);
  else
    ::dup2(fd, 3);
}

TEST(socket_activation, serves_the_passed_socket_instead_of_an_address_of_its_own) {
  const listening_socket socket;
  const auto program = start(socket);
  EXPECT_EQ(program->wait_for_port(), socket.port());
  const test::http_reply stats = socket.connect().ask(get_request("/stats"));
  EXPECT_NE(stats.body.find("\"port\":" + std::to_string(socket.port())), std::string::npos)
      << stats.body;
}

TEST(socket_activation, closes_the_socket_on_exec_and_never_blocks_on_it) {
  const listening_socket socket;
  const auto program = start(socket);
  ASSERT_EQ(program->wait_for_port(), socket.port());
  std::ifstream info{"/proc/" + std::to_string(program->pid()) + "/fdinfo/3"};
  int flags = 0;
  for (std::string word; info >> word;)
    if (word == "flags:") info >> std::oct >> flags;
  EXPECT_NE(flags & O_CLOEXEC, 0);
  EXPECT_NE(flags & O_NONBLOCK, 0);
}

TEST(socket_activation, warns_of_an_address_that_it_ignores) {
  const listening_socket socket;
  ::setenv("KVCACHE_PORT", "1", 1);
  const auto program = start(socket, {"--bind=127.0.0.2"});
  ::unsetenv("KVCACHE_PORT");
  const std::string at = "at 127.0.0.1, port " + std::to_string(socket.port());
  EXPECT_NE(program->wait_for_line("--bind is ignored").find(at), std::string::npos);
  EXPECT_NE(program->wait_for_line("KVCACHE_PORT is ignored").find(at), std::string::npos);
  EXPECT_EQ(program->wait_for_port(), socket.port());
}

// For the health check, which finds the program by its options.
TEST(socket_activation, accepts_options_that_name_the_address_of_the_socket) {
  const listening_socket socket;
  const std::string port = "--port=" + std::to_string(socket.port());
  const auto program = start(socket, {"--bind=127.0.0.1", port});
  EXPECT_EQ(socket.connect().ask(get_request("/healthz")).status, 200U);
  running_program check{{"--health-check", port}};
  EXPECT_EQ(check.wait_for_end(), 0);
  program->send_signal(SIGTERM);
  EXPECT_EQ(program->read_to_end().find("ignored"), std::string::npos);
}

TEST(socket_activation, leaves_a_socket_that_was_passed_to_another_process) {
  const listening_socket socket;
  running_program program{{"--port=0"}, [&socket] {
                            socket.pass();
                            ::setenv("LISTEN_PID", "1", 1);
                          }};
  const std::uint16_t port = program.wait_for_port();
  EXPECT_NE(port, 0U);
  EXPECT_NE(port, socket.port());
}

TEST(socket_activation, ends_with_2_for_what_it_cannot_serve) {
  const listening_socket socket;
  const auto refusal_of = [](const char* number, const std::function<void()>& prepare) {
    const refused result = start_with(number, prepare);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    return result.output;
  };
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(refusal_of("2", [&] { put_at_3(socket.fd()); }), "LISTEN_FDS is 2");
  contains(refusal_of("x", [&] { put_at_3(socket.fd()); }), "LISTEN_FDS: 'x'");
  contains(refusal_of("1", [] { ::close(3); }), "descriptor 3 is unusable");
  contains(refusal_of("1", [] { put_at_3(STDERR_FILENO); }), "not a TCP socket");
  const auto pass_new = [](int domain, int type) {
    return [domain, type] {
      const int fd = ::socket(domain, type, 0);
      ::listen(fd, 1); // fails for datagrams
      put_at_3(fd);
    };
  };
  contains(refusal_of("1", pass_new(AF_UNIX, SOCK_STREAM)), "not a TCP socket");
  contains(refusal_of("1", pass_new(AF_INET, SOCK_DGRAM)), "not a TCP socket");
  contains(refusal_of("1", [] { put_at_3(::socket(AF_INET, SOCK_STREAM, 0)); }), "does not listen");
}

TEST(socket_activation, lets_connections_wait_for_the_next_instance) {
  const listening_socket socket;
  constexpr int waiting = 100;
  std::vector<raw_client> clients;
  const auto queue_up = [&] {
    for (int i = 0; i < waiting; ++i) {
      clients.push_back(socket.connect());
      clients.back().send(get_request("/get?key=a"));
    }
  };
  queue_up(); // before the first instance
  for (int instance = 0; instance < 2; ++instance) {
    const auto program = start(socket);
    for (raw_client& client : clients) EXPECT_EQ(client.read_reply().status, 404U);
    program->send_signal(SIGTERM);
    EXPECT_NE(program->wait_for_line("stopped"), "");
    EXPECT_EQ(program->wait_for_end(), 0);
    for (raw_client& client : clients) EXPECT_TRUE(client.ends());
    clients.clear();
    EXPECT_TRUE(socket.listens());
    EXPECT_FALSE(socket.has_filter());
    queue_up();
  }
}

// This instance may still accept some of those that connect while it is told to stop.
TEST(socket_activation, answers_whoever_waits_during_a_stop_in_this_instance_or_in_the_next) {
  const listening_socket socket;
  constexpr int waiting = 200;
  std::vector<raw_client> clients;
  auto program = start(socket);
  ASSERT_EQ(program->wait_for_port(), socket.port());
  program->send_signal(SIGSTOP);
  program->wait_until_stopped();
  for (int i = 0; i < waiting; ++i) {
    clients.push_back(socket.connect());
    clients.back().send(get_request("/get?key=a"));
  }
  program->send_signal(SIGTERM);
  program->send_signal(SIGCONT);
  EXPECT_EQ(program->wait_for_end(), 0);
  program = start(socket);
  for (raw_client& client : clients) EXPECT_EQ(client.read_reply().status, 404U);
}

// Clients that send one request after the other. Half of them open a connection for each; the
// others keep theirs, and as real clients do, they open another if the server closes it, and send a
// request again if that happens before the first byte of the response.
class load {
public:
  explicit load(const listening_socket& socket) : socket_(socket) {
    constexpr int clients = 8;
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i] { run(i % 2 == 0); });
  }
  ~load() { stop(); }
  load(const load&) = delete;
  load& operator=(const load&) = delete;

  // Waits for so many further responses. False: none arrives within the patience.
  bool await(int more) const {
    const int wanted = answered + more;
    const auto end = std::chrono::steady_clock::now() + raw_client::patience;
    while (answered < wanted && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return answered >= wanted;
  }
  void stop() {
    stopping_ = true;
    for (std::thread& each : threads_)
      if (each.joinable()) each.join();
  }

  std::atomic<int> answered{0};
  std::atomic<int> sent_again{0}; // on a kept connection that the server closed in that moment
  std::atomic<int> failed{0};
  std::atomic<int> refused{0};

private:
  void run(bool keeps_connection) {
    std::optional<raw_client> client;
    bool is_reused = false;
    while (!stopping_) {
      try {
        if (!client) client.emplace(socket_.port());
      } catch (const std::system_error&) {
        ++refused;
        return;
      }
      try {
        if (!client->send(get_request("/get?key=a")) || !client->await_reply()) {
          ++(is_reused ? sent_again : failed);
          is_reused = false;
          client.reset();
          continue;
        }
        const test::http_reply reply = client->read_reply();
        ++(reply.status == 404 ? answered : failed);
        is_reused = keeps_connection && reply.field("connection") != "close";
      } catch (const std::exception&) {
        ++failed;
        is_reused = false;
      }
      if (!is_reused) client.reset();
    }
  }

  const listening_socket& socket_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

TEST(socket_activation, loses_no_request_of_clients_that_continue_during_restarts) {
  const listening_socket socket;
  constexpr int instances = 4;
  constexpr int requests = 1000;
  auto program = start(socket);
  load clients{socket};
  int responded = 0;
  for (int i = 0;; ++i) {
    EXPECT_TRUE(clients.await(requests));
    if (i == instances - 1) clients.stop();
    program->send_signal(SIGTERM);
    const std::string line = program->wait_for_line("stopped; responded to ");
    ASSERT_NE(line, "");
    responded += std::stoi(line.substr(line.find("to ") + 3));
    EXPECT_EQ(program->wait_for_end(), 0);
    if (i == instances - 1) break;
    program = start(socket);
  }
  EXPECT_EQ(clients.failed, 0);
  EXPECT_EQ(clients.refused, 0);
  EXPECT_EQ(clients.answered, responded);
  RecordProperty("sent_again", clients.sent_again);
}

} // namespace
} // namespace kvcache::tests
