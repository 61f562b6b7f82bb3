// The API over HTTP, as clients use it.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

constexpr std::string_view stored =
    R"({"status":"OK","message":"Key inserted/updated successfully."})";

std::string times(std::size_t count, std::string_view text) {
  std::string all;
  while (count-- > 0) all += text;
  return all;
}

#ifndef KVCACHE_SANITIZED // an instrumented program uses most of such limits itself

// The longest value in its longest escaped form is twelve megabytes: less than three quarters of
// the buffer cap under 64 MiB, which is sixteen.
std::string longest_put() {
  std::string body = R"({"key":"long","value":")";
  for (int i = 0; i < 1'000'000; ++i) body += R"(\uD83D\uDE00)";
  return post_request("/put", body + "\"}");
}

TEST(api, accepts_the_longest_value_in_its_longest_escaped_form_in_64_mib) {
  running_server server{{"--memory-limit", "64M", "--max-value-chars", "1000000"}};
  raw_client client = server.connect();
  ASSERT_EQ(client.ask(longest_put()).status, 200U);
  EXPECT_GT(client.ask(get_request("/get?key=long")).body.size(), 4'000'000U);
}

TEST(api, accepts_the_longest_value_in_small_chunks) {
  running_server server{{"--memory-limit", "64M", "--max-value-chars", "1000000"}};
  const std::string put = longest_put();
  std::string_view body{put};
  body.remove_prefix(put.find("\r\n\r\n") + 4);
  std::string chunked = "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  constexpr std::size_t chunk_bytes = 128;
  for (; body.size() >= chunk_bytes; body.remove_prefix(chunk_bytes))
    chunked.append("80\r\n").append(body.substr(0, chunk_bytes)).append("\r\n");
  for (; !body.empty(); body.remove_prefix(1))
    chunked.append("1\r\n").append(body.substr(0, 1)).append("\r\n");
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(chunked + "0\r\n\r\n").status, 200U);
  EXPECT_GT(client.ask(get_request("/get?key=long")).body.size(), 4'000'000U);
}

TEST(api, rejects_with_413_a_body_that_32_mib_can_never_hold) {
  running_server server{{"--memory-limit", "32M", "--max-value-chars", "1000000"}};
  raw_client client = server.connect();
  client.send(longest_put().substr(0, 10'000));
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 413U);
  EXPECT_EQ(reply.body,
            error_body("The request is larger than this server's memory limit allows."));
  EXPECT_TRUE(client.ends());
}

#endif

TEST(api, stores_and_returns_values) {
  running_server server;
  raw_client client = server.connect();
  const http_reply put = client.ask(post_request("/put", R"({"key":"k","value":"v"})"));
  EXPECT_EQ(put.status, 200U);
  EXPECT_EQ(put.body, stored);
  EXPECT_EQ(put.field("content-type"), "application/json");
  const http_reply get = client.ask(get_request("/get?key=k"));
  EXPECT_EQ(get.status, 200U);
  EXPECT_EQ(get.body, R"({"status":"OK","key":"k","value":"v"})");
  EXPECT_EQ(get.field("content-type"), "application/json");
  EXPECT_TRUE(get.has("date"));
}

TEST(api, overwrites_values) {
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("k", "old"));
  EXPECT_EQ(client.ask(put_request("k", "new")).body, stored);
  EXPECT_EQ(client.ask(get_request("/get?key=k")).body,
            R"({"status":"OK","key":"k","value":"new"})");
}

TEST(api, responds_to_a_miss_with_404) {
  running_server server;
  const http_reply reply = server.connect().ask(get_request("/get?key=nobody"));
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.body, error_body("Key not found."));
}

TEST(api, responds_to_a_get_without_key_with_400) {
  running_server server;
  raw_client client = server.connect();
  for (const char* target : {"/get", "/get?", "/get?other=1"}) {
    const http_reply reply = client.ask(get_request(target));
    EXPECT_EQ(reply.status, 400U) << target;
    EXPECT_EQ(reply.body, error_body("Missing key parameter.")) << target;
  }
}

TEST(api, rejects_a_value_that_is_too_long_and_keeps_the_old_one) {
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("k", "old"));
  const std::string long_one(257, 'x');
  for (const std::string& request : {put_request("k", long_one), put_request(long_one, "v")}) {
    const http_reply reply = client.ask(request);
    EXPECT_EQ(reply.status, 400U);
    EXPECT_EQ(reply.body, error_body("Key or Value exceeds 256 characters."));
  }
  EXPECT_EQ(client.ask(get_request("/get?key=k")).body,
            R"({"status":"OK","key":"k","value":"old"})");
}

TEST(api, counts_characters_not_bytes) {
  running_server server;
  raw_client client = server.connect();
  const std::string astral = "\xF0\x9F\x98\x80"; // U+1F600, four bytes
  const std::string key = times(256, astral);
  EXPECT_EQ(client.ask(put_request(key, key)).status, 200U);
  const std::string escaped_target = "/get?key=" + times(256, "%F0%9F%98%80");
  EXPECT_EQ(client.ask(get_request(escaped_target)).body,
            R"({"status":"OK","key":")" + key + R"(","value":")" + key + R"("})");
  EXPECT_EQ(client.ask(put_request("k", key + astral)).status, 400U);
  // The longest escaped form of both, with another value, which proves that it was stored.
  const std::string escaped_key = times(256, R"(\ud83d\ude00)");
  const std::string escaped_value = times(256, R"(\ud83d\ude01)"); // U+1F601
  EXPECT_EQ(client.ask(put_request(escaped_key, escaped_value)).status, 200U);
  EXPECT_EQ(client.ask(get_request(escaped_target)).body,
            R"({"status":"OK","key":")" + key + R"(","value":")" + times(256, "\xF0\x9F\x98\x81") +
                R"("})");
}

TEST(api, rejects_an_empty_key_and_stores_an_empty_value) {
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(put_request("", "v")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=")).status, 400U);
  EXPECT_EQ(client.ask(put_request("k", "")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=k")).body, R"({"status":"OK","key":"k","value":""})");
}

TEST(api, accepts_the_requests_of_plain_curl) {
  running_server server;
  const std::string body = R"({"key":"a","value":"b"})";
  EXPECT_EQ(server.connect()
                .ask("POST /put HTTP/1.1\r\nHost: localhost:7171\r\nUser-Agent: curl/7.88.1\r\n"
                     "Accept: */*\r\nContent-Length: " +
                     std::to_string(body.size()) +
                     "\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" + body)
                .body,
            stored);
}

TEST(api, returns_every_kind_of_character_unchanged) {
  running_server server;
  raw_client client = server.connect();
  // As sent in the body, as requested in the query, as returned.
  struct spelling {
    std::string put, asked, shown;
  };
  const spelling spellings[] = {
      {R"(\"quoted\")", "%22quoted%22", R"(\"quoted\")"},
      {R"(back\\slash)", "back%5Cslash", R"(back\\slash)"},
      {R"(sl\/ash)", "sl/ash", "sl/ash"},
      {R"(\u0000)", "%00", R"(\u0000)"},
      {R"(\b\f\n\r\t\u001f)", "%08%0C%0A%0D%09%1F", R"(\b\f\n\r\t\u001f)"},
      {R"(\u00e9\u4e2d)", "%C3%A9%E4%B8%AD", "\xC3\xA9\xE4\xB8\xAD"},
      {"\xF0\x9F\x98\x80", "%F0%9F%98%80", "\xF0\x9F\x98\x80"},
      {R"(\ud83d\ude00!)", "%F0%9F%98%80!", "\xF0\x9F\x98\x80!"},
      {"a b+c&d=e%", "a+b%2Bc%26d%3De%25", "a b+c&d=e%"},
  };
  for (const spelling& each : spellings) {
    EXPECT_EQ(client.ask(put_request(each.put, each.put)).body, stored) << each.put;
    EXPECT_EQ(client.ask(get_request("/get?key=" + each.asked)).body,
              R"({"status":"OK","key":")" + each.shown + R"(","value":")" + each.shown + R"("})")
        << each.put;
  }
}

TEST(api, does_not_normalise_unicode) {
  running_server server;
  raw_client client = server.connect();
  const std::string composed = "\xC3\xA9";    // é
  const std::string decomposed = "e\xCC\x81"; // e and a combining accent: looks the same
  client.ask(put_request(composed, decomposed));
  EXPECT_EQ(client.ask(get_request("/get?key=%C3%A9")).body,
            R"({"status":"OK","key":")" + composed + R"(","value":")" + decomposed + R"("})");
  EXPECT_EQ(client.ask(get_request("/get?key=e%CC%81")).status, 404U);
}

TEST(api, accepts_json_with_any_content_type) {
  running_server server;
  raw_client client = server.connect();
  for (const char* type :
       {"", "Content-Type: application/json\r\n", "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: nonsense\r\n"})
    EXPECT_EQ(client.ask(post_request("/put", R"({"key":"a","value":"b"})", type)).body, stored)
        << type;
}

TEST(api, deletes_keys) {
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("k", "v"));
  EXPECT_EQ(client.ask(post_request("/delete", R"({"key":"k"})")).body,
            R"({"status":"OK","message":"Key deleted."})");
  const http_reply again = client.ask(post_request("/delete", R"({"key":"k"})"));
  EXPECT_EQ(again.status, 404U);
  EXPECT_EQ(again.body, error_body("Key not found."));
  EXPECT_EQ(client.ask(post_request("/delete", R"({"key":""})")).status, 400U);
  EXPECT_EQ(
      client.ask(post_request("/delete", R"({"key":")" + std::string(257, 'x') + R"("})")).body,
      error_body("Key or Value exceeds 256 characters."));
}

TEST(api, flushes_if_enabled) {
  running_server server{{"--enable-flush"}};
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  EXPECT_EQ(client.ask(post_request("/flush", "")).status, 200U);
  EXPECT_EQ(client.ask("POST /flush HTTP/1.1\r\nHost: a\r\n\r\n").status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
}

TEST(api, reports_health_readiness_and_statistics) {
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/readyz")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/stats")).field("content-type"), "application/json");
  EXPECT_TRUE(client.ask(get_request("/metrics")).body.starts_with("# HELP keyvalue_cache_"));
  EXPECT_TRUE(client.ask(get_request("/openapi.json")).body.starts_with("{"));
}

TEST(api, returns_all_errors_in_the_same_shape) {
  running_server server;
  raw_client client = server.connect();
  for (const std::string& request :
       {get_request("/nowhere"), get_request("/put"), post_request("/put", "{"),
        get_request("/get?key=%"), std::string{"POST /put HTTP/1.1\r\nHost: a\r\n\r\n"}}) {
    const http_reply reply = client.ask(request);
    EXPECT_GE(reply.status, 400U) << request;
    EXPECT_EQ(reply.field("content-type"), "application/json") << request;
    EXPECT_TRUE(reply.body.starts_with(R"({"status":"ERROR","message":")")) << reply.body;
    EXPECT_TRUE(reply.body.ends_with(R"("})")) << reply.body;
  }
}

TEST(api, applies_raised_character_limits) {
  running_server server{{"--max-value-chars", "100000"}};
  raw_client client = server.connect();
  const std::string value(100'000, 'v');
  EXPECT_EQ(client.ask(put_request("k", value)).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=k")).body,
            R"({"status":"OK","key":"k","value":")" + value + R"("})");
  EXPECT_EQ(client.ask(put_request("k", value + "v")).status, 400U);
}

std::string in_chunks(std::string_view body, std::size_t chunk_bytes) {
  std::ostringstream chunks;
  chunks << "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" << std::hex;
  for (; !body.empty(); body.remove_prefix(std::min(chunk_bytes, body.size()))) {
    const std::string_view chunk = body.substr(0, chunk_bytes);
    chunks << chunk.size() << "\r\n" << chunk << "\r\n";
  }
  chunks << "0\r\n\r\n";
  return chunks.str();
}

// Each stored key can be read: keys and values of the maximum length, with twelve bytes per
// character in target and body, under any other limits.
void expect_the_longest_to_come_back(std::size_t key_chars, std::size_t value_chars,
                                     std::vector<std::string> more_options) {
  more_options.insert(more_options.end(), {"--max-key-chars", std::to_string(key_chars),
                                           "--max-value-chars", std::to_string(value_chars)});
  running_server server{more_options};
  raw_client client = server.connect();
  const std::string target = "/get?key=" + times(key_chars, "%F0%9F%98%80");
  const auto body = [&](std::string_view character) {
    return R"({"key":")" + times(key_chars, R"(\ud83d\ude00)") + R"(","value":")" +
           times(value_chars, character) + R"("})";
  };
  const auto expect_value_of = [&](std::string_view character) {
    const http_reply got = client.ask(get_request(target));
    ASSERT_EQ(got.status, 200U) << got.body.substr(0, 200);
    EXPECT_TRUE(got.body == R"({"status":"OK","key":")" + times(key_chars, "\xF0\x9F\x98\x80") +
                                R"(","value":")" + times(value_chars, character) + R"("})");
  };
  EXPECT_EQ(client.ask(post_request("/put", body(R"(\ud83d\ude01)"))).status, 200U);
  expect_value_of("\xF0\x9F\x98\x81");
  EXPECT_EQ(client.ask(in_chunks(body(R"(\ud83d\ude02)"), 4096)).status, 200U);
  expect_value_of("\xF0\x9F\x98\x82");
  EXPECT_EQ(client.ask(in_chunks(body(R"(\ud83d\ude03)"), 128)).status, 200U);
  expect_value_of("\xF0\x9F\x98\x83");
  EXPECT_EQ(server.output().find("too small"), std::string::npos) << server.output();
}

TEST(api, returns_the_longest_key_and_value_in_their_longest_escaped_form) {
  expect_the_longest_to_come_back(256, 256, {});
  expect_the_longest_to_come_back(3000, 256, {});
  expect_the_longest_to_come_back(1, 100'000, {});
  expect_the_longest_to_come_back(20'000, 100'000, {});
}

TEST(api, returns_them_with_a_configured_target_limit) {
  expect_the_longest_to_come_back(1600, 256, {"--max-target-bytes", "20000"});
}

TEST(api, warns_at_start_of_limits_that_prevent_reading_stored_keys) {
  running_server server{{"--max-key-chars", "3000", "--max-target-bytes", "8192"}};
  const std::string log = server.output();
  EXPECT_NE(log.find("--max-target-bytes (8192)"), std::string::npos) << log;
  EXPECT_NE(log.find("--max-key-chars (3000)"), std::string::npos) << log;
}

} // namespace
} // namespace kvcache::test
