// When entries expire that are put over HTTP, on a clock that the test moves: that of the machine,
// and that of the cache, which follows it late.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;

std::string put_with_ttl(const std::string& key, const std::string& ttl) {
  return post_request("/put", R"({"key":")" + key + R"(","value":"v","ttl":)" + ttl + "}");
}

// The cache's clock is told the time, as it should be about once a tick.
unsigned status_of(test_server& server, raw_client& client, const std::string& key) {
  server.tell_the_time();
  return client.ask(get_request("/get?key=" + key)).status;
}

TEST(expiry, happens_at_most_a_tick_after_its_time_and_not_before) {
  for (const auto since_tick : {0ms, 1ms, 50ms, 99ms}) {
    test_server server;
    raw_client client = server.connect();
    server.pass(since_tick);
    EXPECT_EQ(client.ask(put_with_ttl("a", "1")).status, 200U);
    server.pass(1s - 1ns);
    EXPECT_EQ(status_of(server, client, "a"), 200U) << since_tick;
    server.pass(100ms);
    EXPECT_EQ(status_of(server, client, "a"), 404U) << since_tick;
  }
}

// As after a run of whoever advances it that took ten seconds.
TEST(expiry, is_not_early_if_the_clock_of_the_cache_was_late_at_the_put) {
  test_server server;
  raw_client client = server.connect();
  server.pass(10s);
  EXPECT_EQ(client.ask(put_with_ttl("a", "1")).status, 200U);
  EXPECT_EQ(status_of(server, client, "a"), 200U);
  server.pass(999ms);
  EXPECT_EQ(status_of(server, client, "a"), 200U);
  server.pass(101ms);
  EXPECT_EQ(status_of(server, client, "a"), 404U);
}

TEST(expiry, is_that_of_the_last_put) {
  test_server server;
  raw_client client = server.connect();
  for (const char* key : {"none", "longer", "shorter"})
    EXPECT_EQ(client.ask(put_with_ttl(key, "10")).status, 200U);
  EXPECT_EQ(client.ask(put_request("none", "v")).status, 200U);
  EXPECT_EQ(client.ask(put_with_ttl("longer", "20")).status, 200U);
  EXPECT_EQ(client.ask(put_with_ttl("shorter", "1")).status, 200U);
  server.pass(2s);
  EXPECT_EQ(status_of(server, client, "shorter"), 404U);
  server.pass(10s);
  EXPECT_EQ(status_of(server, client, "none"), 200U);
  EXPECT_EQ(status_of(server, client, "longer"), 200U);
  server.pass(10s);
  EXPECT_EQ(status_of(server, client, "longer"), 404U);
  server.pass(std::chrono::years{13});
  EXPECT_EQ(status_of(server, client, "none"), 200U);
}

TEST(expiry, is_the_default_if_a_put_has_none) {
  http::server_options options;
  options.default_ttl_s = 5;
  test_server server{options};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(put_request("a", "v")).status, 200U);
  EXPECT_EQ(client.ask(put_with_ttl("b", "60")).status, 200U);
  server.pass(4999ms);
  EXPECT_EQ(status_of(server, client, "a"), 200U);
  server.pass(101ms);
  EXPECT_EQ(status_of(server, client, "a"), 404U);
  EXPECT_EQ(status_of(server, client, "b"), 200U);
}

// A PUT behind a flush is answered when the cache has been emptied: in a batch of its own.
TEST(expiry, is_counted_from_its_own_batch_after_a_put_that_waited_for_a_flush) {
  http::server_options options;
  options.enable_flush = true;
  test_server server{options};
  raw_client client = server.connect();
  client.send(post_request("/flush", "") + put_with_ttl("a", "5"));
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().status, 200U);
  server.pass(8s);
  EXPECT_EQ(client.ask(put_with_ttl("b", "5")).status, 200U);
  server.pass(300ms);
  EXPECT_EQ(status_of(server, client, "b"), 200U);
  EXPECT_EQ(status_of(server, client, "a"), 404U);
}

TEST(expiry, may_be_ten_years_away) {
  test_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(put_with_ttl("a", "315360000")).status, 200U);
  server.pass(315'359'999s);
  EXPECT_EQ(status_of(server, client, "a"), 200U);
  server.pass(1100ms);
  EXPECT_EQ(status_of(server, client, "a"), 404U);
}

} // namespace
} // namespace kvcache::test
