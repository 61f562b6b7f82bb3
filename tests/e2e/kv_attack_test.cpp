// Many hostile or slow peers of /kv/{key}, whose values are large.
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "e2e/binary.hpp"
#include "e2e/footprint.hpp"

namespace kvcache::test {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = kib * kib;

std::string put_head(std::string_view path, std::size_t bytes) {
  return "PUT " + std::string{path} +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string put(std::string_view path, const std::string& value) {
  return put_head(path, value.size()) + value;
}

// Sends a request of any length; the server may respond before it has all of it.
unsigned status_of(const server_process& server, const std::string& request) {
  raw_client client = server.connect();
  client.send(request);
  return client.read_reply().status;
}

// The most memory that the process has ever used.
std::size_t peak_resident_bytes(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  std::string name;
  while (status >> name) {
    if (std::size_t kilobytes = 0; name == "VmHWM:" && status >> kilobytes) return kilobytes * kib;
  }
  throw std::runtime_error("no VmHWM");
}

// With a receive buffer so small that the kernel cannot take the response.
raw_client reader_of(const server_process& server, std::string_view path) {
  raw_client reader{server.port(), 4096};
  reader.send(get_request(path));
  return reader;
}

bool is_answered(raw_client& client) {
  return eventually([&] { return !client.is_silent_for(std::chrono::milliseconds{0}); });
}

TEST(kv_attack, peers_that_never_read_a_large_value_are_cut_and_cost_no_copy_of_it) {
  constexpr std::size_t peers = 100;
  running_server server{{"--write-timeout-ms", "1000", "--max-value-bytes", "8M"}};
  const std::string value(8 * mib, 'v');
  ASSERT_EQ(status_of(server, put("/kv/large", value)), 201U);
  ASSERT_EQ(status_of(server, put("/kv/small", "s")), 201U);
  const footprint before{server};
  std::vector<raw_client> greedy;
  for (std::size_t i = 0; i < peers; ++i) greedy.push_back(reader_of(server, "/kv/large"));
  for (raw_client& each : greedy) ASSERT_TRUE(is_answered(each));
  EXPECT_TRUE(before.grew_by_less_than(peers * 40 * kib));
  raw_client friendly = server.connect();
  EXPECT_EQ(friendly.ask(get_request("/kv/small")).body, "s");
  EXPECT_TRUE(friendly.ask(get_request("/kv/large")).body == value);
  friendly.end_sending();
  EXPECT_TRUE(before.comes_back()); // they are still connected and have read nothing
  EXPECT_TRUE(server.connect().ask(get_request("/kv/large")).body == value);
}

// An instrumented server takes most of this limit itself, and keeps what is freed.
#ifndef KVCACHE_SANITIZED
// Each unread response keeps a version of its own, which the cache has replaced.
TEST(kv_attack, versions_kept_for_peers_that_never_read_stay_below_the_memory_limit) {
  constexpr std::size_t limit = 64 * mib;
  constexpr std::size_t value_bytes = 2 * mib;
  constexpr std::size_t rounds = 60;
  running_server server{{"--memory-limit", "64M", "--max-value-bytes", "2M"}};
  ASSERT_EQ(status_of(server, put("/kv/small", "s")), 201U);
  const footprint before{server};
  std::vector<raw_client> greedy;
  std::size_t stored = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    const unsigned status =
        status_of(server, put("/kv/large", std::string(value_bytes, static_cast<char>(i))));
    ASSERT_TRUE(status == 201 || status == 204 || status == 503) << status;
    if (status < 300) ++stored;
    greedy.push_back(reader_of(server, "/kv/large"));
    ASSERT_TRUE(is_answered(greedy.back()));
    ASSERT_EQ(server.connect().ask(get_request("/get?key=small")).status, 200U);
  }
  EXPECT_GE(stored, rounds / 2);
  EXPECT_LT(peak_resident_bytes(server.pid()), limit);
  greedy.clear();
  EXPECT_EQ(status_of(server, "DELETE /kv/large HTTP/1.1\r\nHost: a\r\n\r\n"), 204U);
  EXPECT_TRUE(before.comes_back());
}
#endif

TEST(kv_attack, half_sent_values_are_held_within_the_memory_limit_until_their_deadline) {
  constexpr std::size_t limit = 64 * mib;
  constexpr std::size_t peers = 200; // of half a mebibyte each, six times what requests may hold
  running_server server{{"--memory-limit", "64M", "--body-timeout-ms", "1000"}};
  ASSERT_EQ(status_of(server, put("/kv/small", "s")), 201U);
  const footprint before{server};
  const std::string half(mib / 2, 'h');
  {
    std::vector<raw_client> stalled = connect_many(server, peers);
    for (raw_client& each : stalled) {
      each.send(put_head("/kv/half", mib));
      each.send_some(half);
    }
    raw_client friendly = server.connect();
    ASSERT_EQ(friendly.ask(get_request("/kv/small")).body, "s");
    ASSERT_EQ(friendly.ask(put("/kv/small", "t")).status, 204U);
    // They give way to a value that arrives.
    EXPECT_TRUE(eventually([&] { return status_of(server, put("/kv/whole", half)) < 300; }));
    EXPECT_TRUE(before.comes_back()); // their deadlines have passed; they are still connected
  }
  EXPECT_TRUE(sanitized || peak_resident_bytes(server.pid()) < limit);
  EXPECT_EQ(server.connect().ask(get_request("/kv/half")).status, 404U);
  EXPECT_TRUE(server.connect().ask(get_request("/kv/whole")).body == half);
}

// The length of a chunked body is unknown, so each may become the longest.
TEST(kv_attack, half_sent_chunked_values_leave_room_for_others) {
  constexpr std::size_t peers = 2000;
  running_server server{
      {"--threads", "2", "--max-value-bytes", "64M", "--body-timeout-ms", "86400000"}};
  const footprint before{server};
  const std::string part = "PUT /kv/part HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "5000\r\n" +
                           std::string(0x5000, 'p') + "\r\n1";
  {
    std::vector<raw_client> stalled = connect_many(server, peers);
    for (raw_client& each : stalled) each.send(part);
    EXPECT_EQ(status_of(server, put("/kv/small", "s")), 201U);
    EXPECT_EQ(status_of(server, put("/kv/large", std::string(mib, 'l'))), 201U);
    EXPECT_EQ(server.connect().ask(put_request("text", "t")).status, 200U);
    for (int i = 0; i < 10'000; ++i)
      ASSERT_EQ(status_of(server, put("/kv/more" + std::to_string(i % 1000), "m")) / 100, 2U) << i;
    EXPECT_EQ(server.connect().ask(get_request("/kv/small")).body, "s");
  }
  EXPECT_EQ(status_of(server, "DELETE /kv/large HTTP/1.1\r\nHost: a\r\n\r\n"), 204U);
  EXPECT_TRUE(before.comes_back());
  EXPECT_EQ(server.connect().ask(get_request("/kv/part")).status, 404U);
}

TEST(kv_attack, resets_in_the_middle_of_values_leave_nothing_behind) {
  running_server server{{"--threads", "2"}};
  const std::string value(mib, 'v');
  ASSERT_EQ(status_of(server, put("/kv/a", value)), 201U);
  const footprint before{server};
  for (int i = 0; i < 500; ++i) {
    raw_client client = server.connect();
    if (i % 2 == 0)
      client.send(put_head("/kv/a", mib) + value.substr(0, 100 * kib));
    else
      client.send(get_request("/kv/a"));
    client.reset();
  }
  EXPECT_TRUE(before.comes_back());
  EXPECT_TRUE(server.connect().ask(get_request("/kv/a")).body == value);
}

} // namespace
} // namespace kvcache::test
