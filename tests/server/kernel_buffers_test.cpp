// What peers can have the kernel hold: how much, how it counts, and how long.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/raw_client.hpp"
#include "support/socket_queues.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int small_receive_buffer = 4096;

template <class Predicate>
bool eventually(Predicate holds) {
  const auto end = steady_clock::now() + raw_client::patience;
  while (!holds()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string times(std::size_t count, const std::string& request) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += request;
  return all;
}

class kernel_buffers : public testing::Test {
protected:
  static constexpr std::size_t large_bytes = 100'000;

  void start() {
    options_.limits.max_value_chars = large_bytes;
    options_.limits = options_.limits.raised_for_characters();
    server_.emplace(options_);
    EXPECT_EQ(server().connect().ask(put_request("small", std::string(256, 'v'))).status, 200U);
    EXPECT_EQ(server().connect().ask(put_request("large", std::string(large_bytes, 'v'))).status,
              200U);
  }

  test_server& server() { return *server_; }
  socket_queues queues() { return queues_of(server().port()); }
  std::uint64_t shed() { return server().counted().of(observe::event::connection_shed); }

  // A peer that asks until nobody takes its questions any more, and never reads.
  raw_client greedy_peer() {
    raw_client peer{server().port(), small_receive_buffer};
    while (peer.send_some(small_question_) != 0) {
    }
    return peer;
  }

  http::server_options options_;
  const std::string small_question_ = get_request("/get?key=small");
  const std::string large_question_ = get_request("/get?key=large");
  std::optional<test_server> server_;
};

TEST_F(kernel_buffers, of_a_peer_that_never_reads_are_bounded) {
  constexpr std::size_t overshoot = 65'536; // the kernel asks for room piece by piece
  options_.send_buffer_bytes = 32'768;
  options_.receive_buffer_bytes = 16'384;
  start();
  const raw_client peer = greedy_peer();
  EXPECT_LE(queues().to_send, 2 * options_.send_buffer_bytes + overshoot);
  EXPECT_LE(queues().received, 2 * options_.receive_buffer_bytes);
}

TEST_F(kernel_buffers, count_as_memory_of_connections) {
  start();
  const raw_client peer = greedy_peer();
  EXPECT_GT(queues().to_send, 65'536U);
  EXPECT_TRUE(eventually([&] {
    const socket_queues held = queues();
    return server().server().buffer_bytes() >= held.to_send + held.received;
  }));
}

TEST_F(kernel_buffers, count_while_they_are_not_empty) {
  start();
  // What the worker writes replies into is as large as it gets, and counts.
  EXPECT_EQ(server().connect().ask(large_question_).status, 200U);
  EXPECT_TRUE(eventually([&] {
    return server().counted().connections_now() == 0 &&
           server().server().buffer_bytes() > large_bytes;
  }));
  const std::size_t before = server().server().buffer_bytes();
  raw_client peer{server().port(), small_receive_buffer};
  peer.send(large_question_); // all of the reply fits
  EXPECT_TRUE(eventually([&] { return server().server().buffer_bytes() > before + 50'000; }));
  EXPECT_EQ(peer.read_reply().status, 200U);
  EXPECT_TRUE(eventually([&] { return server().server().buffer_bytes() < before + 10'000; }));
}

TEST_F(kernel_buffers, are_freed_when_the_connection_is_closed_for_its_peer) {
  options_.send_buffer_bytes = 16'384; // less than a reply
  options_.timeouts.write_timeout_ms = 200;
  start();
  raw_client peer{server().port(), small_receive_buffer};
  peer.send(large_question_);
  EXPECT_TRUE(eventually([&] { return queues().to_send > 0; }));
  EXPECT_TRUE(eventually([&] { return queues().to_send == 0; }));
  EXPECT_EQ(server().counted().connections_now(), 0U);
}

TEST_F(kernel_buffers, are_freed_when_the_final_response_is_left_unread) {
  options_.timeouts.linger_timeout_ms = 200;
  start();
  raw_client peer{server().port(), small_receive_buffer};
  peer.send(get_request("/get?key=large", "Connection: close\r\n"));
  EXPECT_TRUE(eventually([&] { return queues().to_send > 0; }));
  EXPECT_TRUE(eventually([&] { return queues().to_send == 0; }));
  EXPECT_TRUE(eventually([&] { return server().counted().connections_now() == 0; }));
}

TEST_F(kernel_buffers, keep_the_final_response_for_a_peer_that_reads_slowly) {
  options_.timeouts.linger_timeout_ms = 200;
  start();
  raw_client peer{server().port(), small_receive_buffer};
  raw_client bystander = server().connect();
  peer.send(get_request("/get?key=large", "Connection: close\r\n"));
  for (int i = 0; i < 20; ++i) { // five such times in all
    EXPECT_TRUE(bystander.is_silent_for(milliseconds{50}));
    peer.receive_some(3000);
  }
  const http_reply reply = peer.read_reply();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_GT(reply.body.size(), large_bytes);
  EXPECT_TRUE(peer.ends());
}

TEST_F(kernel_buffers, of_idle_peers_that_do_not_read_are_freed_while_memory_is_short) {
  constexpr std::size_t few = 200;
  options_.max_buffer_bytes = 1'000'000;
  start();
  raw_client friendly = server().connect();
  std::vector<raw_client> greedy;
  // So few questions that the server gives all replies to the kernel and waits for more.
  const std::string batch = times(40, small_question_);
  EXPECT_TRUE(eventually([&] {
    if (greedy.size() < few) {
      greedy.emplace_back(server().port(), small_receive_buffer);
      greedy.back().send(batch);
    }
    EXPECT_EQ(friendly.ask(small_question_).status, 200U);
    return shed() > 0;
  }));
  EXPECT_TRUE(
      eventually([&] { return server().server().buffer_bytes() <= options_.max_buffer_bytes; }));
  EXPECT_EQ(friendly.ask(small_question_).status, 200U);
}

TEST_F(kernel_buffers, of_all_peers_together_stay_under_the_cap_except_for_bytes_in_transit) {
  constexpr std::size_t peers = 60; // together they could have six times the cap
  options_.max_buffer_bytes = 2'000'000;
  start();
  raw_client friendly = server().connect();
  std::vector<raw_client> greedy;
  const std::string batch = times(100, small_question_);
  for (std::size_t i = 0; i < peers; ++i) {
    greedy.emplace_back(server().port(), small_receive_buffer);
    while (greedy.back().send_some(batch) != 0) {
    }
    ASSERT_EQ(friendly.ask(small_question_).status, 200U);
    const socket_queues held = queues();
    ASSERT_LE(held.to_send + held.received, options_.max_buffer_bytes * 3 / 2) << i;
  }
  EXPECT_GT(shed(), 0U);
}

} // namespace
} // namespace kvcache::test
