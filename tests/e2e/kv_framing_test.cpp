// Bodies of PUT /kv/{key} in every framing, and broken ones: what is not complete is not stored,
// and no byte of a body is taken for a request.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = kib * kib;

// Small, received in the input buffer, and straight into the entry.
constexpr std::array<std::size_t, 4> body_sizes{10, 20'000, 64 * kib + 1, 300'000};

std::string start_of(std::string_view method, std::string_view path, std::string_view fields = "") {
  std::string text{method};
  return text.append(" ").append(path).append(" HTTP/1.1\r\nHost: a\r\n").append(fields);
}

std::string put_head(std::string_view path, std::size_t bytes, std::string_view fields = "") {
  return start_of("PUT", path, fields) + "Content-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string put(std::string_view path, std::string_view body, std::string_view fields = "") {
  return put_head(path, body.size(), fields).append(body);
}

std::string chunked_head(std::string_view path) {
  return start_of("PUT", path) + "Transfer-Encoding: chunked\r\n\r\n";
}

std::string chunk(std::string_view bytes, std::string_view extension = "") {
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx", bytes.size());
  return std::string{size.data()}.append(extension).append("\r\n").append(bytes).append("\r\n");
}

std::string some_bytes(std::size_t bytes, std::mt19937_64& random) {
  std::string text(bytes, '\0');
  for (char& each : text) each = static_cast<char>(random());
  return text;
}

class kv_framing : public testing::Test {
protected:
  kv_framing() { EXPECT_EQ(server_.connect().ask(put("/kv/k", "old")).status, 201U); }

  std::string stored() const { return server_.connect().ask(get_request("/kv/k")).body; }

  running_server server_{{"--threads", "2"}};
  std::mt19937_64 random_{1};
};

TEST_F(kv_framing, chunks_of_any_size_make_the_same_value) {
  static constexpr std::array<std::size_t, 14> chunk_sizes{
      1, 2, 3, 15, 16, 17, 255, 4095, 4097, 16'383, 16'385, 65'535, 65'537, 200'001};
  static constexpr std::array<std::string_view, 3> extensions{"", ";a=b", " ; c=\"d;\\\"e\""};
  raw_client client = server_.connect();
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const std::string value = some_bytes(random_() % (round % 2 == 0 ? 30'000 : mib), random_);
    std::string text = chunked_head("/kv/k");
    std::size_t framing = 0;
    for (std::size_t at = 0; at < value.size();) {
      // Many small ones only as long as the limit on their framing permits it.
      const std::size_t least = framing < 8'000 ? 0 : 6;
      const std::size_t size = chunk_sizes[least + random_() % (chunk_sizes.size() - least)];
      const std::string_view bytes = std::string_view{value}.substr(at, size);
      text += chunk(bytes, extensions[random_() % extensions.size()]);
      framing += 20;
      at += bytes.size();
    }
    text += round % 3 == 0 ? "0\r\nX-Trailer: 1\r\n\r\n" : "000\r\n\r\n";
    for (std::size_t at = 0; at < text.size();) { // in pieces that agree with no chunk
      const std::size_t piece = 1 + random_() % (round % 5 == 0 ? 1000 : 100'000);
      ASSERT_TRUE(client.send(std::string_view{text}.substr(at, piece)));
      at += piece;
    }
    const http_reply reply = client.read_reply();
    ASSERT_EQ(reply.status, 204U) << reply.body;
    ASSERT_TRUE(client.ask(get_request("/kv/k")).body == value);
    EXPECT_EQ(client.ask(put("/kv/k", value)).field("etag"), reply.field("etag"));
  }
}

TEST_F(kv_framing, a_value_in_too_small_chunks_is_refused) {
  std::string text = chunked_head("/kv/k");
  for (std::size_t i = 0; i < 40'000; ++i) text += chunk("x");
  raw_client client = server_.connect();
  client.send(text);
  EXPECT_EQ(client.read_reply().status, 413U);
  EXPECT_EQ(stored(), "old");
}

TEST_F(kv_framing, truncated_bodies_are_not_stored) {
  for (const std::size_t bytes : body_sizes) {
    const std::string value = some_bytes(bytes, random_);
    const std::string whole = put("/kv/k", value);
    const std::string first = chunk(value.substr(0, bytes / 2));
    const std::string second = chunk(value.substr(bytes / 2), ";e=f");
    const std::string chunks = chunked_head("/kv/k") + first + second + "0\r\nX: 1\r\n\r\n";
    std::vector<std::string> parts;
    for (const std::size_t missing : {std::size_t{1}, std::size_t{2}, bytes / 2, bytes - 1, bytes})
      parts.push_back(whole.substr(0, whole.size() - missing));
    const std::size_t last_chunk = chunks.rfind("0\r\nX");
    for (std::size_t missing = 1; missing <= chunks.size() - last_chunk + 3; ++missing)
      parts.push_back(chunks.substr(0, chunks.size() - missing));
    const std::size_t second_at = chunks.find(second);
    for (std::size_t more = 0; more <= 12; ++more)
      parts.push_back(chunks.substr(0, second_at - 3 + more));
    for (const std::string& part : parts) {
      raw_client client = server_.connect();
      client.send(part);
      client.end_sending();
      ASSERT_TRUE(client.ends()) << bytes << ", without the last " << whole.size() - part.size();
    }
    ASSERT_EQ(stored(), "old") << bytes;
  }
}

TEST_F(kv_framing, bytes_behind_the_announced_length_are_not_part_of_the_value) {
  for (const std::size_t bytes : body_sizes) {
    for (const bool chunks : {false, true}) {
      const std::string value = some_bytes(bytes, random_);
      raw_client client = server_.connect();
      client.send(chunks ? chunked_head("/kv/k") + chunk(value) + "0\r\n\r\n"
                         : put("/kv/k", value));
      client.send("more of it\r\n\r\n");
      EXPECT_EQ(client.read_reply().status, 204U);
      EXPECT_EQ(client.read_reply().status, 400U);
      EXPECT_TRUE(client.ends());
      EXPECT_TRUE(stored() == value) << bytes;
    }
  }
}

TEST_F(kv_framing, a_chunk_longer_than_its_size_is_refused_and_nothing_is_stored) {
  for (const std::size_t bytes : body_sizes) {
    std::string text = chunk(some_bytes(bytes, random_));
    text.insert(text.size() - 2, "x");
    raw_client client = server_.connect();
    client.send(chunked_head("/kv/k") + chunk("first") + text + "0\r\n\r\n");
    EXPECT_EQ(client.read_reply().status, 400U);
    EXPECT_TRUE(client.ends());
    EXPECT_EQ(stored(), "old");
  }
}

TEST_F(kv_framing, chunks_that_exceed_the_limit_together_are_refused) {
  const std::string part(200'000, 'x');
  std::string text = chunked_head("/kv/k");
  for (int i = 0; i < 5; ++i) text += chunk(part);
  const std::size_t rest = mib - 5 * part.size();
  raw_client fits = server_.connect();
  fits.send(text + chunk(part.substr(0, rest)) + "0\r\n\r\n");
  EXPECT_EQ(fits.read_reply().status, 204U);
  EXPECT_EQ(fits.ask(put("/kv/k", "old")).status, 204U);
  raw_client exceeds = server_.connect();
  exceeds.send(text + chunk(part.substr(0, rest + 1)));
  EXPECT_EQ(exceeds.read_reply().status, 413U);
  EXPECT_TRUE(exceeds.ends());
  EXPECT_EQ(stored(), "old");
}

TEST_F(kv_framing, bad_escapes_in_keys_are_refused_by_every_method) {
  std::vector<std::string> paths{"/kv/", "/kv/?ttl=1"};
  for (const std::string_view bad :
       {"%", "%2", "%zz", "%2z", "%z2", "%%", "% 2", "%u0041", "%-1", "%+1", "%0x", "%C3", "%C3%28",
        "%E2%82", "%ED%A0%80", "%F4%90%80%80", "%FF", "%C0%AF"}) {
    if (bad.find(' ') != std::string_view::npos) continue;
    for (const std::string_view around : {"", "a", "a/"})
      paths.push_back(std::string{"/kv/"}.append(around).append(bad));
  }
  const std::string large(300'000, 'x');
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    raw_client client = server_.connect();
    EXPECT_EQ(client.ask(start_of("GET", path) + "\r\n").status, 400U);
    client.send(start_of("HEAD", path) + "\r\n");
    EXPECT_EQ(client.read_reply(true).status, 400U);
    EXPECT_EQ(client.ask(start_of("DELETE", path) + "\r\n").status, 400U);
    EXPECT_EQ(client.ask(put(path, "v")).status, 400U);
    EXPECT_EQ(client.ask(get_request("/kv/k")).body, "old"); // the connection goes on
    EXPECT_EQ(client.ask(put_head(path, 3, "Expect: 100-continue\r\n")).status, 400U);
    EXPECT_TRUE(client.ends());
    raw_client uploading = server_.connect();
    uploading.send(put(path, large));
    EXPECT_EQ(uploading.read_reply().status, 400U);
  }
}

// The peer does not wait for 100 Continue, as it may: what it sends is a body, not a request.
TEST_F(kv_framing, a_body_sent_in_spite_of_a_refused_expectation_is_no_request) {
  const std::string smuggled = start_of("DELETE", "/kv/k") + "\r\n";
  for (const std::size_t bytes : body_sizes) {
    for (const std::string_view condition : {"If-None-Match: *\r\n", "If-Match: \"other\"\r\n",
                                             "If-Match:\r\n", "If-Match: other\r\n"}) {
      std::string body = smuggled;
      while (body.size() < bytes) body += smuggled;
      const std::string fields = std::string{condition} + "Expect: 100-continue\r\n";
      const unsigned expected = condition == "If-Match: other\r\n" ? 400U : 412U;
      raw_client client = server_.connect();
      client.send(put_head("/kv/k", body.size(), fields));
      EXPECT_EQ(client.read_reply().status, expected);
      client.send(body);
      EXPECT_TRUE(client.ends());
      raw_client at_once = server_.connect();
      at_once.send(put("/kv/k", body, fields));
      const http_reply reply = at_once.read_reply();
      EXPECT_EQ(reply.status, expected);
      EXPECT_EQ(stored(), "old");
    }
  }
}

TEST_F(kv_framing, an_expectation_is_met_in_chunks_and_the_condition_holds_until_the_end) {
  for (const std::size_t bytes : body_sizes) {
    const std::string value = some_bytes(bytes, random_);
    const std::string tag = server_.connect().ask(get_request("/kv/k")).field("etag");
    const std::string fields =
        "If-Match: " + tag + "\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    raw_client winner = server_.connect();
    raw_client loser = server_.connect();
    for (raw_client* each : {&winner, &loser})
      EXPECT_EQ(each->ask(start_of("PUT", "/kv/k", fields)).status, 100U);
    const std::string body = chunk(value) + "0\r\n\r\n";
    EXPECT_EQ(winner.ask(body).status, 204U);
    EXPECT_EQ(loser.ask(body).status, 412U);
    EXPECT_TRUE(stored() == value);
  }
}

} // namespace
} // namespace kvcache::test
