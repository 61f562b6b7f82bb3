// Start and end of the program.
#include <gtest/gtest.h>

#include <signal.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

TEST(process, ends_with_exit_code_1_if_its_port_is_in_use) {
  running_server first;
  const program_end second = run_program(binary, {"--port", std::to_string(first.port())});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.output.find(std::to_string(first.port())), std::string::npos) << second.output;
  EXPECT_EQ(first.connect().ask(get_request("/healthz")).status, 200U);
}

TEST(process, can_restart_immediately_on_the_same_port) {
  std::string port;
  {
    running_server first;
    port = std::to_string(first.port());
    raw_client client = first.connect(); // leaves the port in TIME_WAIT
    client.ask(get_request("/get?key=a", "Connection: close\r\n"));
    first.signal(SIGTERM);
    EXPECT_EQ(first.wait().exit_code, 0);
  }
  running_server second{{"--port", port}};
  EXPECT_EQ(std::to_string(second.port()), port);
}

TEST(process, ends_with_exit_code_0_on_sigterm_and_sigint) {
  for (const int number : {SIGTERM, SIGINT}) {
    running_server server;
    EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
    server.signal(number);
    EXPECT_EQ(server.wait().exit_code, 0);
  }
}

// A machine may be suspended for a while, together with the clock of the deadlines.
TEST(process, does_not_count_suspended_time_towards_deadlines) {
  running_server server{{"--head-timeout-ms", "600"}};
  raw_client client = server.connect();
  ASSERT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
  server.signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds{1200}); // the suspension
  const auto begun = std::chrono::steady_clock::now();
  client.send("GET /get?key=a HTTP/1.1\r\n");
  server.signal(SIGCONT);
  EXPECT_EQ(client.read_reply().status, 408U);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds{600});
}

// Opens all connections that the server serves.
std::vector<raw_client> fill(const server_process& server) {
  std::vector<raw_client> clients;
  do clients.push_back(server.connect());
  while (clients.back().ask(get_request("/get?key=a")).status == 404);
  clients.pop_back();
  return clients;
}

TEST(process, is_healthy_at_its_connection_limit) {
  running_server server{{"--max-connections", "3"}};
  const std::vector<raw_client> clients = fill(server);
  EXPECT_EQ(clients.size(), 3U);
  const program_end check =
      run_program(binary, {"--health-check", "--port", std::to_string(server.port())});
  EXPECT_EQ(check.exit_code, 0) << check.output;
  EXPECT_EQ(server.connect().ask(get_request("/metrics")).status, 200U);
}

TEST(process, is_healthy_at_its_limit_of_open_files) {
  server_process server{binary, {}, {"/bin/sh", "-c", "ulimit -n 200; exec \"$0\" \"$@\""}};
  EXPECT_TRUE(logs_within_patience(
      server, "the limit of open files (ulimit -n) is 200, too low for 10000 connections"));
  const std::vector<raw_client> clients = fill(server);
  EXPECT_GT(clients.size(), 20U);
  std::vector<raw_client> refused; // which stay open
  for (int i = 0; i < 60; ++i) {
    refused.push_back(server.connect());
    EXPECT_EQ(refused.back().ask(get_request("/get?key=a")).status, 503U);
    EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U) << i;
  }
}

TEST(process, responds_to_received_requests_before_it_ends) {
  running_server server;
  raw_client client = server.connect();
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += get_request("/get?key=a");
  client.send(requests);
  server.signal(SIGTERM);
  http_reply reply;
  for (int i = 0; i < 500; ++i) {
    ASSERT_FALSE(reply.has("connection")) << "closed after " << i;
    reply = client.read_reply();
    ASSERT_EQ(reply.status, 404U);
  }
  // The last response may precede the signal; then a later one announces the close.
  while (!reply.has("connection")) reply = client.ask(get_request("/get?key=a"));
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(server.wait().exit_code, 0);
}

// In the following tests, timeouts that are not tested are longer than the timeout of CTest.
const std::string a_day_ms = "86400000";

TEST(process, continues_to_accept_during_the_drain_delay_until_a_second_signal) {
  running_server server{{"--drain-delay-ms", "86399999", "--drain-timeout-ms", a_day_ms}};
  server.signal(SIGTERM);
  while (server.connect().ask(get_request("/readyz")).status != 503) {
  }
  EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait().exit_code, 0);
}

TEST(process, closes_an_incomplete_request_at_the_drain_timeout) {
  running_server server{
      {"--drain-timeout-ms", "300", "--head-timeout-ms", a_day_ms, "--idle-timeout-ms", a_day_ms}};
  raw_client half = server.connect();
  half.send("GET /get");
  EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait().exit_code, 0);
}

TEST(process, drops_no_accepted_request_when_it_ends_under_load) {
  running_server server{{"--threads", "2"}};
  constexpr int clients = 16;
  std::atomic<int> served{0};
  std::atomic<int> dropped{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&] {
      raw_client client = server.connect();
      for (int request = 0;; ++request) {
        try {
          if (client.ask(get_request("/get?key=a")).field("connection") == "close") return;
        } catch (const std::exception&) {
          ++dropped;
          return;
        }
        if (request == 100) ++served;
      }
    });
  while (served < clients) std::this_thread::yield();
  server.signal(SIGTERM);
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(server.wait().exit_code, 0);
  EXPECT_EQ(dropped, 0);
}

} // namespace
} // namespace kvcache::test
