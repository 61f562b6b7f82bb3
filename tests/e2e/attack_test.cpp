// Many hostile or slow peers.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "e2e/binary.hpp"
#include "e2e/footprint.hpp"
#include "support/socket_queues.hpp"

namespace kvcache::test {
namespace {

using std::chrono::steady_clock;

// Each sends a byte at intervals until it gets a response.
bool drip_until_answered(std::vector<raw_client>& clients, std::string_view byte) {
  return eventually([&] {
    bool answered = true;
    for (raw_client& each : clients) {
      if (!each.is_silent_for(std::chrono::milliseconds{0})) continue;
      answered = false;
      each.send(byte);
    }
    return answered;
  });
}

TEST(attack, trickled_heads_and_bodies_are_closed_at_their_deadline) {
  running_server server{{"--head-timeout-ms", "1000", "--body-timeout-ms", "1000"}};
  const footprint before{server};
  {
    std::vector<raw_client> heads = connect_many(server, 500);
    std::vector<raw_client> bodies = connect_many(server, 500);
    std::vector<raw_client> values = connect_many(server, 50);
    for (raw_client& each : heads) each.send("GET /get?key=a HTTP/1.1\r\nX: ");
    for (raw_client& each : bodies)
      each.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\n\r\n{");
    for (raw_client& each : values)
      each.send("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n{");
    // Meanwhile an ordinary client is served.
    EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
    EXPECT_TRUE(drip_until_answered(heads, "x"));
    EXPECT_TRUE(drip_until_answered(bodies, " "));
    EXPECT_TRUE(drip_until_answered(values, " "));
    for (std::vector<raw_client>* slow : {&heads, &bodies, &values})
      for (raw_client& each : *slow) {
        ASSERT_EQ(each.read_reply().status, 408U);
        ASSERT_TRUE(each.ends());
      }
  }
  EXPECT_TRUE(before.comes_back());
}

TEST(attack, values_that_are_abandoned_halfway_leave_nothing_behind) {
  running_server server{{"--threads", "2"}};
  ASSERT_EQ(server.connect().ask(put_request("a", "old")).status, 200U);
  const footprint before{server};
  const std::string half(400'000, 'v');
  for (int round = 0; round < 10; ++round) {
    for (raw_client& each : connect_many(server, 20)) {
      each.send("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
      each.send(half);
    }
  }
  EXPECT_TRUE(before.comes_back());
  const http_reply reply = server.connect().ask(get_request("/kv/a"));
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, "old");
}

TEST(attack, two_thousand_idle_connections_use_little_memory) {
  running_server server{{"--threads", "2"}};
  const footprint before{server};
  {
    std::vector<raw_client> idle = connect_many(server, 2000);
    for (raw_client& each : idle) ASSERT_EQ(each.ask(get_request("/get?key=a")).status, 404U);
    EXPECT_TRUE(before.grew_by_less_than(2000 * 6144));
  }
  EXPECT_TRUE(before.comes_back());
}

TEST(attack, peers_that_never_read_use_bounded_memory_and_are_closed) {
  running_server server{{"--write-timeout-ms", "1000"}};
  server.connect().ask(put_request("a", std::string(256, 'v')));
  const footprint before{server};
  std::vector<raw_client> greedy;
  for (int i = 0; i < 50; ++i) greedy.emplace_back(server.port(), 4096);
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += get_request("/get?key=a");
  for (raw_client& each : greedy)
    for (int i = 0; i < 100 && each.send_some(requests) > 0; ++i) {
    }
  EXPECT_TRUE(before.grew_by_less_than(50 * 150'000));
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 200U);
  EXPECT_TRUE(before.comes_back()); // they are still connected and have read nothing
}

// It is not memory of the process, but counts as memory use of its container.
TEST(attack, peers_that_never_read_occupy_at_most_the_buffer_cap_in_the_kernel) {
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr std::size_t share_bytes = 64 * mib / 4;
  constexpr std::size_t most_under_way = share_bytes / 2; // between two readings
  constexpr std::size_t peers = 500; // at a hundred kilobytes each, three times the cap
  running_server server{{"--memory-limit", "64M"}};
  raw_client friendly = server.connect();
  friendly.ask(put_request("a", std::string(256, 'v')));
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += get_request("/get?key=a");
  allow_many_files();
  std::vector<raw_client> greedy;
  for (std::size_t i = 0; i < peers; ++i) {
    greedy.emplace_back(server.port(), 4096);
    while (greedy.back().send_some(requests) > 0) {
    }
    ASSERT_EQ(friendly.ask(get_request("/get?key=a")).status, 200U);
    const socket_queues held = queues_of(server.port());
    ASSERT_LE(held.to_send + held.received, share_bytes + most_under_way) << i;
    ASSERT_LE(held.most_to_send + held.most_received, 200'000U) << i;
  }
}

TEST(attack, large_escaped_bodies_leave_no_memory_in_use) {
  constexpr std::size_t connections = 8;
  running_server server{{"--max-value-chars", "1000000"}};
  const footprint before{server};
  // Rejected for its key after the value was decoded, so the store does not hold it.
  std::string body = R"({"value":")";
  for (int i = 0; i < 1'000'000; ++i) body += R"(\uD83D\uDE00)";
  body += R"(","key":""})";
  for (std::size_t i = 0; i < connections; ++i)
    ASSERT_EQ(server.connect().ask(post_request("/put", body)).body,
              error_body("The key must not be empty."));
  EXPECT_TRUE(before.comes_back());
}

TEST(attack, the_server_continues_after_resets_and_connection_floods) {
  running_server server;
  const footprint before{server};
  for (int i = 0; i < 2000; ++i) {
    raw_client client = server.connect();
    if (i % 2 == 0) client.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
    if (i % 3 == 0) client.reset();
  }
  EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
  EXPECT_TRUE(before.comes_back());
}

TEST(attack, connections_over_the_limit_get_503) {
  running_server server{{"--max-connections", "10"}};
  std::vector<raw_client> all = connect_many(server, 10);
  for (raw_client& each : all) ASSERT_EQ(each.ask(get_request("/get?key=a")).status, 404U);
  for (int i = 0; i < 20; ++i) {
    raw_client over = server.connect();
    EXPECT_EQ(over.read_reply().status, 503U);
    EXPECT_TRUE(over.ends());
  }
  EXPECT_EQ(all.front().ask(get_request("/get?key=a")).status, 404U);
}

// Far more than get a connection of their own, at the same time, and without a byte.
TEST(attack, every_silent_peer_over_the_limit_gets_503) {
  running_server server{{"--max-connections", "2"}};
  const footprint before{server};
  {
    std::vector<raw_client> served = connect_many(server, 2);
    for (raw_client& each : served) ASSERT_EQ(each.ask(get_request("/get?key=a")).status, 404U);
    std::vector<raw_client> over = connect_many(server, 1000);
    for (raw_client& each : over) {
      const http_reply reply = each.read_reply();
      ASSERT_EQ(reply.status, 503U);
      ASSERT_EQ(reply.field("connection"), "close");
      ASSERT_EQ(reply.field("retry-after"), "1");
      ASSERT_EQ(reply.body, error_body("The server has as many connections as it may have: "
                                       "try again in a moment."));
      ASSERT_TRUE(each.ends());
    }
    const std::string metrics = served.front().ask(get_request("/metrics")).body;
    EXPECT_NE(metrics.find("keyvalue_cache_connections_refused_total 1000\n"), std::string::npos);
    EXPECT_EQ(served.back().ask(get_request("/get?key=a")).status, 404U);
  }
  EXPECT_TRUE(before.comes_back());
}

// The value of a series in the Prometheus text.
std::uint64_t metric(raw_client& client, const std::string& name) {
  const std::string text = client.ask(get_request("/metrics")).body;
  const std::size_t at = text.find("\n" + name + " ");
  if (at == std::string::npos) throw std::runtime_error("no metric " + name);
  return std::stoull(text.substr(at + name.size() + 2));
}

TEST(attack, a_lack_of_descriptors_causes_no_busy_loop) {
  running_server server;
  const footprint normal{server};
  const rlimit few{open_files(server.pid()) + 5, 4096};
  rlimit before{};
  ASSERT_EQ(::prlimit(server.pid(), RLIMIT_NOFILE, &few, &before), 0);

  std::vector<raw_client> clients = connect_many(server, 20); // more than it can accept
  EXPECT_EQ(clients.front().ask(get_request("/get?key=a")).status, 404U);
  // It waits for descriptors; a busy loop would never sleep.
  EXPECT_TRUE(eventually([&] { return all_threads_sleep(server.pid()); }));

  // It retries, but that many attempts take at least this long.
  constexpr std::uint64_t attempts = 5;
  constexpr std::chrono::milliseconds least_pause{200};
  const auto failures = [&] {
    return metric(clients.front(), "keyvalue_cache_accept_failures_total");
  };
  const auto start = steady_clock::now();
  const std::uint64_t before_start = failures();
  EXPECT_TRUE(eventually([&] { return failures() >= before_start + attempts; }));
  EXPECT_GE(steady_clock::now() - start, (attempts - 1) * least_pause);

  {
    raw_client last = std::move(clients.back());
    clients.clear(); // descriptors are free
    EXPECT_EQ(last.ask(get_request("/get?key=a")).status, 404U);
  }
  EXPECT_TRUE(normal.comes_back());
}

} // namespace
} // namespace kvcache::test
