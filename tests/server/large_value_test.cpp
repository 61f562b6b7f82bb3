// Bodies that are received straight into their entry, and values that are sent from where they are
// stored.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/connection_phase.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = kib * kib;

std::string pattern(std::size_t bytes, unsigned seed = 1) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + i / 253 + seed * 17);
  return text;
}

std::string put_head(std::string_view path, std::size_t bytes, std::string_view fields = "") {
  return "PUT " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n" + std::string{fields} +
         "Content-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string put(std::string_view path, std::string_view body, std::string_view fields = "") {
  return put_head(path, body.size(), fields) + std::string{body};
}

std::string chunked(std::string_view path, std::string_view body, std::size_t chunk_bytes) {
  std::string text =
      "PUT " + std::string{path} + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < body.size(); at += chunk_bytes) {
    const std::string_view chunk = body.substr(at, chunk_bytes);
    std::array<char, 32> size;
    std::snprintf(size.data(), size.size(), "%zx\r\n", chunk.size());
    text.append(size.data()).append(chunk).append("\r\n");
  }
  return text + "0\r\n\r\n";
}

http::server_options up_to(std::size_t value_bytes) {
  http::server_options options;
  options.limits.max_value_bytes = value_bytes;
  return options;
}

// The client may not send all before it reads: another thread sends.
http_reply ask_with(raw_client& client, const std::string& text) {
  std::thread sender{[&] { client.send(text); }};
  const http_reply reply = client.read_reply();
  sender.join();
  return reply;
}

TEST(large_value, is_given_back_as_it_was_put_whatever_its_size) {
  test_server server{up_to(16 * mib)};
  raw_client client = server.connect();
  std::string tag;
  for (const std::size_t bytes :
       {64 * kib - 1, 64 * kib, 64 * kib + 1, std::size_t{100'000}, 256 * kib, 1 * mib, 2 * mib - 1,
        2 * mib, 2 * mib + 1, 16 * mib}) {
    const std::string value = pattern(bytes);
    const http_reply stored = ask_with(client, put("/kv/k", value, "Content-Type: x/y\r\n"));
    ASSERT_TRUE(stored.status == 201 || stored.status == 204) << stored.body;
    const http_reply got = client.ask(get_request("/kv/k"));
    ASSERT_TRUE(got.body == value) << bytes;
    EXPECT_EQ(got.field("content-type"), "x/y");
    EXPECT_EQ(got.field("etag"), stored.field("etag"));
    EXPECT_NE(got.field("etag"), tag);
    tag = got.field("etag");
    const std::string known = "If-None-Match: " + tag + "\r\n";
    EXPECT_EQ(client.ask(get_request("/kv/k", known)).status, 304U);
    client.send("HEAD /kv/k HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(client.read_reply(true).field("content-length"), std::to_string(bytes));
    // The same bytes in one piece, in chunks, and long after: the same tag.
    for (const std::size_t chunk : {std::size_t{1000}, 16 * kib, 300 * kib}) {
      const http_reply again = ask_with(client, chunked("/kv/k", value, chunk));
      ASSERT_EQ(again.status, 204U) << again.body;
      EXPECT_NE(again.field("etag"), tag); // it has no type
      const http_reply same = client.ask(get_request("/kv/k"));
      ASSERT_TRUE(same.body == value) << bytes << " in chunks of " << chunk;
      EXPECT_EQ(same.field("etag"), again.field("etag"));
      EXPECT_EQ(same.field("content-type"), "application/octet-stream");
    }
  }
  client.ask(put("/kv/k", "small"));
  EXPECT_EQ(client.ask(get_request("/kv/k")).body, "small");
}

TEST(large_value, stands_in_a_pipeline_like_any_other) {
  test_server server{up_to(4 * mib)};
  raw_client client = server.connect();
  const std::string first = pattern(300'000, 1);
  const std::string second = pattern(200'000, 2);
  const std::string requests = put("/kv/a", first) + get_request("/kv/a") + put("/kv/b", "small") +
                               chunked("/kv/a", second, 5000) + get_request("/kv/b") +
                               get_request("/kv/a") + get_request("/kv/a") + get_request("/kv/b");
  std::thread sender{[&] { client.send(requests); }};
  EXPECT_EQ(client.read_reply().status, 201U);
  EXPECT_TRUE(client.read_reply().body == first);
  EXPECT_EQ(client.read_reply().status, 201U);
  EXPECT_EQ(client.read_reply().status, 204U);
  EXPECT_EQ(client.read_reply().body, "small");
  EXPECT_TRUE(client.read_reply().body == second);
  EXPECT_TRUE(client.read_reply().body == second);
  EXPECT_EQ(client.read_reply().body, "small");
  sender.join();
}

TEST(large_value, is_sent_whole_although_it_is_replaced_or_deleted_meanwhile) {
  test_server server{up_to(8 * mib)};
  raw_client writer = server.connect();
  const std::string old = pattern(8 * mib, 1);
  for (const bool replaces : {true, false}) {
    ASSERT_LT(ask_with(writer, put("/kv/k", old)).status, 300U);
    raw_client reader{server.port(), 4096};
    reader.send(get_request("/kv/k") + get_request("/kv/other"));
    ASSERT_TRUE(reader.send_some("") == 0);
    while (!reader.receive_some(1)) std::this_thread::yield(); // the response has begun
    if (replaces)
      ASSERT_EQ(ask_with(writer, put("/kv/k", pattern(8 * mib, 2))).status, 204U);
    else
      ASSERT_EQ(writer.ask("DELETE /kv/k HTTP/1.1\r\nHost: a\r\n\r\n").status, 204U);
    EXPECT_TRUE(reader.read_reply().body == old);
    EXPECT_EQ(reader.read_reply().status, 404U);
  }
}

TEST(large_value, is_not_copied_for_slow_readers) {
  http::server_options options = up_to(8 * mib);
  options.max_buffer_bytes = 12 * mib; // for all connections, the kernel's buffers included
  test_server server{options};
  raw_client writer = server.connect();
  const std::string value = pattern(8 * mib);
  ASSERT_EQ(ask_with(writer, put("/kv/k", value)).status, 201U);
  std::vector<raw_client> readers;
  for (int i = 0; i < 6; ++i) {
    readers.emplace_back(server.port(), 4096);
    readers.back().send(get_request("/kv/k"));
    while (!readers.back().receive_some(1)) std::this_thread::yield();
  }
  for (raw_client& each : readers) {
    const http_reply reply = each.read_reply();
    EXPECT_EQ(reply.status, 200U);
    EXPECT_TRUE(reply.body == value);
  }
}

TEST(large_value, leaves_the_old_one_if_its_condition_fails_or_it_does_not_arrive) {
  test_server server{up_to(4 * mib)};
  raw_client client = server.connect();
  client.ask(put("/kv/k", "old"));
  const std::string value = pattern(1 * mib);
  EXPECT_EQ(ask_with(client, put("/kv/k", value, "If-None-Match: *\r\n")).status, 412U);
  EXPECT_TRUE(client.ends());
  for (const std::size_t sent : {std::size_t{0}, 1 * kib, 300 * kib}) {
    raw_client leaving = server.connect();
    leaving.send(put_head("/kv/k", value.size()) + value.substr(0, sent));
    leaving.end_sending();
    EXPECT_TRUE(leaving.ends());
    raw_client resetting = server.connect();
    resetting.send(put_head("/kv/k", value.size()) + value.substr(0, sent));
    resetting.reset();
  }
  EXPECT_EQ(server.connect().ask(get_request("/kv/k")).body, "old");
}

TEST(large_value, that_was_decided_before_its_body_arrived_is_decided_again) {
  test_server server{up_to(4 * mib)};
  raw_client slow = server.connect();
  raw_client quick = server.connect();
  const std::string value = pattern(1 * mib);
  slow.send(put_head("/kv/k", value.size(), "If-None-Match: *\r\n") + value.substr(0, 500'000));
  EXPECT_EQ(quick.ask(put("/kv/k", "first")).status, 201U);
  slow.send(std::string_view{value}.substr(500'000));
  EXPECT_EQ(slow.read_reply().status, 412U);
  EXPECT_EQ(quick.ask(get_request("/kv/k")).body, "first");
  EXPECT_EQ(slow.ask(get_request("/kv/k")).body, "first"); // the connection goes on
}

TEST(large_value, that_memory_can_never_hold_is_refused_by_its_length) {
  http::server_options options = up_to(64 * mib);
  options.max_buffer_bytes = 4 * mib;
  test_server server{options};
  EXPECT_EQ(server.connect().ask(put_head("/kv/k", 5 * mib)).status, 413U);
  raw_client client = server.connect();
  EXPECT_EQ(ask_with(client, put("/kv/k", pattern(2 * mib))).status, 201U);
}

TEST(large_value, that_stalls_gives_way_to_one_that_arrives) {
  http::server_options options = up_to(64 * mib);
  options.max_buffer_bytes = 4 * mib;
  test_server server{options};
  raw_client stalled = server.connect();
  stalled.send(put_head("/kv/stalled", 3 * mib) + pattern(5 * mib / 2)); // and waits
  raw_client arriving = server.connect();
  EXPECT_EQ(ask_with(arriving, put("/kv/k", pattern(5 * mib / 2))).status, 201U);
  EXPECT_EQ(stalled.read_reply().status, 503U);
  EXPECT_EQ(server.connect().ask(get_request("/kv/stalled")).status, 404U);
}

TEST(large_value, may_take_a_second_more_for_each_mebibyte) {
  EXPECT_EQ(http::body_time_ms(0), 0U);
  EXPECT_EQ(http::body_time_ms(mib), 1000U);
  EXPECT_EQ(http::body_time_ms(64 * mib), 64'000U);
}

} // namespace
} // namespace kvcache::test
