// Expiry over HTTP in real time. These tests wait for a second or two, the shortest time to live.
// How late an entry expires is tested with a simulated clock; here only what holds on the slowest
// machine is asserted.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto between_looks = 10ms;

std::string put_with_ttl(const std::string& key, unsigned ttl_s) {
  return post_request("/put", R"({"key":")" + key + R"(","value":"v","ttl":)" +
                                  std::to_string(ttl_s) + "}");
}

unsigned status_of(raw_client& client, const std::string& key) {
  return client.ask(get_request("/get?key=" + key)).status;
}

// The first figure of that name in /stats.
std::uint64_t figure(raw_client& client, std::string_view name) {
  const std::string stats = client.ask(get_request("/stats")).body;
  const std::string member = '"' + std::string{name} + "\":";
  const std::size_t at = stats.find(member);
  if (at == std::string::npos) throw std::runtime_error{"no " + member + " in " + stats};
  return std::stoull(stats.substr(at + member.size()));
}

template <class Predicate>
bool eventually(Predicate holds) {
  const auto end = steady_clock::now() + raw_client::patience;
  while (!holds()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(between_looks);
  }
  return true;
}

TEST(expiry, makes_an_entry_a_miss_and_never_early) {
  running_server server;
  raw_client client = server.connect();
  const auto before_put = steady_clock::now();
  ASSERT_EQ(client.ask(put_with_ttl("a", 1)).status, 200U);
  ASSERT_EQ(client.ask(put_with_ttl("longer", 3600)).status, 200U);
  EXPECT_TRUE(eventually([&] { return status_of(client, "a") == 404; }));
  EXPECT_GE(steady_clock::now() - before_put, 1s);
  EXPECT_EQ(status_of(client, "longer"), 200U);
}

// With the longest interval.
TEST(expiry, does_not_depend_on_the_evictor) {
  running_server server{{"--eviction-interval-ms", "1000"}};
  raw_client client = server.connect();
  const auto before_put = steady_clock::now();
  ASSERT_EQ(client.ask(put_with_ttl("a", 1)).status, 200U);
  EXPECT_TRUE(eventually([&] { return status_of(client, "a") == 404; }));
  EXPECT_GE(steady_clock::now() - before_put, 1s);
}

TEST(expiry, is_cancelled_by_an_overwrite_without_ttl) {
  running_server server;
  raw_client client = server.connect();
  ASSERT_EQ(client.ask(put_with_ttl("kept", 1)).status, 200U);
  ASSERT_EQ(client.ask(put_with_ttl("later", 1)).status, 200U);
  ASSERT_EQ(client.ask(put_request("kept", "v")).status, 200U);
  EXPECT_TRUE(eventually([&] { return status_of(client, "later") == 404; }));
  EXPECT_EQ(status_of(client, "kept"), 200U);
}

TEST(expiry, applies_by_default_only_to_puts_without_a_ttl) {
  running_server server{{"--default-ttl-s", "1"}};
  raw_client client = server.connect();
  const auto before_put = steady_clock::now();
  ASSERT_EQ(client.ask(put_request("a", "v")).status, 200U);
  ASSERT_EQ(client.ask(put_with_ttl("longer", 3600)).status, 200U);
  EXPECT_TRUE(eventually([&] { return status_of(client, "a") == 404; }));
  EXPECT_GE(steady_clock::now() - before_put, 1s);
  EXPECT_EQ(status_of(client, "longer"), 200U);
}

TEST(expiry, is_collected_and_counted_without_requests_for_the_entries) {
  running_server server;
  raw_client client = server.connect();
  constexpr std::uint64_t entries = 20;
  for (std::uint64_t i = 0; i < entries; ++i)
    ASSERT_EQ(client.ask(put_with_ttl("k" + std::to_string(i), 1)).status, 200U);
  ASSERT_EQ(client.ask(put_request("stays", "v")).status, 200U);
  EXPECT_TRUE(eventually([&] { return figure(client, "expired") == entries; }));
  EXPECT_EQ(figure(client, "gets"), 0U);
  EXPECT_EQ(status_of(client, "stays"), 200U);
}

} // namespace
} // namespace kvcache::test
