// Each accepted request gets a response: the real program is stopped while requests wait in every
// place, sent by clients that use plain sockets and count.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "daemon/running_program.hpp"
#include "support/raw_client.hpp"

namespace kvcache::tests {
namespace {

using test::get_request;
using test::http_reply;
using test::put_request;
using test::raw_client;

// Suspends the program until it goes out of scope, and sends a stop signal before it resumes. So
// the program finds the signal and the data sent meanwhile at the same time.
class standstill {
public:
  explicit standstill(const running_program& program) : program_(program) {
    program_.send_signal(SIGSTOP);
    program_.wait_until_stopped();
  }
  ~standstill() {
    program_.send_signal(SIGTERM);
    program_.send_signal(SIGCONT);
  }
  standstill(const standstill&) = delete;
  standstill& operator=(const standstill&) = delete;

private:
  const running_program& program_;
};

TEST(drain, responds_to_connections_in_the_accept_queue) {
  running_program program{{"--port=0", "--threads=2"}};
  const std::uint16_t port = program.wait_for_port();
  constexpr int waiting = 500;
  std::vector<raw_client> clients;
  {
    const standstill until_told_to_stop{program};
    for (int i = 0; i < waiting; ++i) {
      clients.emplace_back(port); // the kernel accepts it
      clients.back().send(get_request("/get?key=a"));
    }
  }
  int answered = 0;
  for (raw_client& client : clients) {
    const http_reply reply = client.read_reply();
    EXPECT_EQ(reply.status, 404U);
    EXPECT_TRUE(client.ends()); // and not by a reset
    ++answered;
  }
  EXPECT_EQ(answered, waiting);
  clients.clear();
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(drain, responds_to_received_requests_in_order_and_announces_the_close_in_the_final_response) {
  running_program program{{"--port=0", "--threads=2"}};
  const std::uint16_t port = program.wait_for_port();
  constexpr int connections = 32;
  constexpr int pipelined = 100;
  std::string requests;
  {
    raw_client client{port};
    for (int i = 0; i < pipelined; ++i) {
      const std::string key = "key" + std::to_string(i);
      ASSERT_EQ(client.ask(put_request(key, "v")).status, 200U);
      requests += get_request("/get?key=" + key);
    }
  }
  std::vector<raw_client> clients;
  for (int i = 0; i < connections; ++i) {
    clients.emplace_back(port);
    clients.back().ask(get_request("/healthz"));
  }
  {
    const standstill until_told_to_stop{program};
    for (raw_client& client : clients) client.send(requests);
  }
  for (raw_client& client : clients) {
    for (int i = 0; i < pipelined; ++i) {
      const http_reply reply = client.read_reply();
      EXPECT_NE(reply.body.find("\"key" + std::to_string(i) + "\""), std::string::npos);
      if (i < pipelined - 1) { // it may be sent before the signal is noticed
        EXPECT_FALSE(reply.has("connection")) << i;
      }
    }
    EXPECT_TRUE(client.ends());
  }
  clients.clear();
  EXPECT_EQ(program.wait_for_end(), 0);
}

TEST(drain, sends_all_responses_to_a_slow_reader) {
  running_program program{{"--port=0", "--threads=1"}};
  const std::uint16_t port = program.wait_for_port();
  constexpr int pipelined = 200;
  raw_client client{port, 4096};
  ASSERT_EQ(client.ask(put_request("a", std::string(256, 'v'))).status, 200U);
  std::string requests;
  for (int i = 0; i < pipelined; ++i) requests += get_request("/get?key=a");
  client.send(requests);
  http_reply reply = client.read_reply(); // the rest is ready now, and exceeds the socket buffers
  program.send_signal(SIGTERM);
  EXPECT_NE(program.wait_for_line("stopping"), "");
  for (int i = 1; i < pipelined; ++i) reply = client.read_reply();
  EXPECT_EQ(reply.status, 200U);
}

// Clients that open a connection for each request until the server stops listening.
TEST(drain, responds_on_every_connection_it_accepts) {
  running_program program{{"--port=0", "--threads=2"}};
  const std::uint16_t port = program.wait_for_port();
  constexpr int clients = 8;
  constexpr int requests_before = 50;
  std::atomic<int> answered{0};
  std::atomic<int> dropped{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&] {
      for (;;) {
        try {
          raw_client client{port};
          try {
            client.ask(get_request("/get?key=a"));
            ++answered;
          } catch (const std::exception&) {
            ++dropped;
          }
        } catch (const std::system_error&) {
          return; // the server has stopped listening
        }
      }
    });
  while (answered < clients * requests_before) std::this_thread::yield();
  program.send_signal(SIGTERM);
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(dropped, 0);
  EXPECT_EQ(program.wait_for_end(), 0);
}

} // namespace
} // namespace kvcache::tests
