// Values of any bytes: /kv/{key}. Conditions are in kv_conditions_test.cpp.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "api/token_authorizer.hpp"
#include "server/access_log.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;

std::string put(std::string_view path, std::string_view body, std::string_view fields = "") {
  return std::string{"PUT "}.append(path).append(" HTTP/1.1\r\nHost: a\r\n").append(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

std::string erase(std::string_view path, std::string_view fields = "") {
  return std::string{"DELETE "}.append(path).append(" HTTP/1.1\r\nHost: a\r\n").append(fields) +
         "\r\n";
}

class kv : public testing::Test {
protected:
  http_reply ask(std::string_view text) { return client_.ask(text); }
  http_reply get(std::string_view path, std::string_view fields = "") {
    return client_.ask(get_request(path, fields));
  }
  http_reply head(std::string_view path) {
    client_.send("HEAD " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return client_.read_reply(true);
  }
  // On a connection of its own, for what ends the connection.
  http_reply ask_once(std::string_view text) { return server_.connect().ask(text); }

  test_server server_;
  raw_client client_ = server_.connect();
};

TEST_F(kv, gives_back_the_bytes_that_were_put) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  for (const std::size_t times : {0U, 1U, 15U, 16U, 17U, 255U, 256U, 257U, 4'000U}) {
    std::string value;
    for (std::size_t i = 0; i < times; ++i) value += every_byte;
    const http_reply stored = ask(put("/kv/k", value));
    EXPECT_EQ(stored.status, times == 0 ? 201U : 204U);
    const http_reply shown = get("/kv/k");
    EXPECT_EQ(shown.status, 200U);
    EXPECT_TRUE(shown.body == value) << value.size();
    EXPECT_EQ(shown.field("etag"), stored.field("etag"));
    const http_reply asked = head("/kv/k");
    EXPECT_EQ(asked.field("content-length"), std::to_string(value.size()));
    EXPECT_EQ(asked.field("etag"), stored.field("etag"));
  }
}

TEST_F(kv, protects_browsers_from_stored_pages_and_caches_from_stale_values) {
  ask(put("/kv/k", "<script>", "Content-Type: text/html\r\n"));
  const http_reply shown = get("/kv/k");
  EXPECT_EQ(shown.field("content-type"), "text/html");
  EXPECT_EQ(shown.field("x-content-type-options"), "nosniff");
  EXPECT_EQ(shown.field("content-security-policy"), "sandbox");
  EXPECT_EQ(shown.field("cache-control"), "no-cache");
  EXPECT_FALSE(shown.has("kv-ttl"));
  EXPECT_FALSE(shown.has("last-modified"));
  EXPECT_FALSE(shown.has("accept-ranges"));
}

TEST_F(kv, keeps_the_content_type) {
  const std::string longest = "a/" + std::string(98, 'b');
  const std::vector<std::pair<std::string, std::string>> types{
      {"Content-Type: image/png\r\n", "image/png"},
      {"Content-Type: Image/PNG\r\n", "Image/PNG"},
      {"Content-Type: text/plain;charset=\"utf-8\"\r\n", "text/plain;charset=\"utf-8\""},
      {"Content-Type: " + longest + "\r\n", longest},
      {"", "application/octet-stream"},
      {"Content-Type: application/x-www-form-urlencoded\r\n", "application/octet-stream"},
      {"Content-Type: Application/X-WWW-Form-Urlencoded ; charset=utf-8\r\n",
       "application/octet-stream"},
      {"Content-Type: application/octet-stream\r\n", "application/octet-stream"}};
  for (const std::size_t bytes : {0U, 10U, 5'000U, 70'000U}) {
    for (const auto& [field, shown] : types) {
      const http_reply stored = ask(put("/kv/k", std::string(bytes, '\xff'), field));
      EXPECT_LT(stored.status, 300U) << field;
      const http_reply reply = get("/kv/k");
      EXPECT_EQ(reply.field("content-type"), shown);
      EXPECT_EQ(reply.body.size(), bytes);
      EXPECT_EQ(reply.field("etag"), stored.field("etag"));
    }
  }
}

TEST_F(kv, refuses_malformed_and_long_content_types) {
  for (const std::string_view type : {"", "text", "text/", "/plain", "text/plain x", "text/plain;a",
                                      "text/plain, text/html", "text/plain;a=\"b"}) {
    const std::string field = "Content-Type: " + std::string{type} + "\r\n";
    const http_reply reply = ask(put("/kv/k", "v", field));
    EXPECT_EQ(reply.status, 400U) << type;
    EXPECT_NE(reply.body.find("Content-Type"), std::string::npos) << reply.body;
  }
  EXPECT_EQ(ask(put("/kv/k", "v", "Content-Type: a/" + std::string(99, 'b') + "\r\n")).status,
            400U);
  EXPECT_EQ(ask_once(put("/kv/k", "v", "Content-Type: a/b\r\nContent-Type: a/b\r\n")).status, 400U);
  EXPECT_EQ(get("/kv/k").status, 404U);
}

// RFC 9110 §8.8.1: two representations, of other types, have other strong tags.
TEST_F(kv, gives_the_same_tag_to_the_same_type_and_bytes_only) {
  const auto tag_of = [&](std::string_view body, std::string_view fields) {
    return ask(put("/kv/k", body, fields)).field("etag");
  };
  const std::string plain = tag_of("v", "");
  EXPECT_EQ(tag_of("v", "Content-Type: application/octet-stream\r\n"), plain);
  EXPECT_NE(tag_of("v", "Content-Type: text/plain\r\n"), plain);
  EXPECT_NE(tag_of("w", ""), plain);
  EXPECT_EQ(tag_of("v", ""), plain);
  EXPECT_EQ(ask(put("/kv/other", "v")).field("etag"), plain);
  EXPECT_EQ(plain.size(), 18U);
}

TEST_F(kv, takes_the_key_from_the_path_without_normalising_it) {
  const std::vector<std::pair<std::string, std::string>> keys{
      {"/kv/a", "a"},       {"/kv/a/b", "a/b"},         {"/kv/a%2Fb", "a/b"},
      {"/kv/a%2fb", "a/b"}, {"/kv//a", "/a"},           {"/kv/a//b", "a//b"},
      {"/kv/../a", "../a"}, {"/kv/./a", "./a"},         {"/kv/a/..", "a/.."},
      {"/kv/a+b", "a+b"},   {"/kv/a%2Bb", "a+b"},       {"/kv/a%20b", "a b"},
      {"/kv/%25", "%"},     {"/kv/%2525", "%25"},       {"/kv/%00", {"\0", 1}},
      {"/kv/a%3Fb", "a?b"}, {"/kv/%C3%A9", "\xC3\xA9"}, {"/kv/\xC3\xA9", "\xC3\xA9"},
      {"/kv//", "/"},       {"/kv/a=b&c", "a=b&c"},     {"/kv/a?", "a"},
      {"/kv/a#b", "a"},     {"/kv/{key}", "{key}"}};
  for (const auto& [path, key] : keys) {
    const http_reply stored = ask(put(path, "v " + path));
    EXPECT_LT(stored.status, 300U) << path;
    std::string found;
    EXPECT_TRUE(server_.store().peek(key, [&](std::string_view value) { found = value; })) << path;
    EXPECT_EQ(found, "v " + path);
    EXPECT_EQ(get(path).body, "v " + path);
    EXPECT_EQ(ask(erase(path)).status, 204U) << path;
    EXPECT_FALSE(server_.store().peek(key, [](std::string_view) {})) << path;
  }
}

TEST_F(kv, refuses_malformed_keys_whatever_the_method) {
  const std::string too_long = "/kv/" + std::string(257, 'a');
  const std::vector<std::pair<std::string, std::string>> refused{
      {"/kv/", "The key must not be empty."},
      {"/kv/%", "followed by two hexadecimal digits"},
      {"/kv/a%2", "followed by two hexadecimal digits"},
      {"/kv/a%zz", "followed by two hexadecimal digits"},
      {"/kv/%FF", "is not valid UTF-8"},
      {"/kv/\xFF", "is not valid UTF-8"},
      {"/kv/%C3", "is not valid UTF-8"},
      {"/kv/%ED%A0%80", "is not valid UTF-8"},
      {too_long, "Key or Value exceeds 256 characters."}};
  for (const auto& [path, message] : refused) {
    for (const http_reply& reply : {get(path), ask(put(path, "v")), ask(erase(path))}) {
      EXPECT_EQ(reply.status, 400U) << path;
      EXPECT_NE(reply.body.find(message), std::string::npos) << reply.body;
      EXPECT_EQ(reply.field("cache-control"), "no-store");
    }
  }
  std::string longest;
  for (int i = 0; i < 256; ++i) longest += "%F0%9F%98%80";
  EXPECT_EQ(ask(put("/kv/" + longest, "v")).status, 201U);
  EXPECT_EQ(get("/kv").status, 404U); // another path
}

TEST_F(kv, shares_its_keys_with_put_and_get) {
  ask(put_request("k", "text"));
  const http_reply shown = get("/kv/k");
  EXPECT_EQ(shown.body, "text");
  EXPECT_EQ(shown.field("content-type"), "text/plain; charset=utf-8");
  ask(put("/kv/k", "caf\xC3\xA9 \"1\"", "Content-Type: application/json\r\n"));
  EXPECT_EQ(get("/get?key=k").body,
            "{\"status\":\"OK\",\"key\":\"k\",\"value\":\"caf\xC3\xA9 \\\"1\\\"\"}");
  ask(put_request("k", "again")); // the type does not outlive its value
  EXPECT_EQ(get("/kv/k").field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(get("/get?key=k").body, R"({"status":"OK","key":"k","value":"again"})");
}

TEST_F(kv, does_not_show_as_json_what_is_no_text) {
  for (const std::size_t bytes : {1U, 5'000U, 100'000U}) {
    for (const std::string_view fields : {"", "Content-Type: image/png\r\n"}) {
      ask(put("/kv/k", std::string(bytes, 'x') + '\xff', fields));
      const http_reply refused = get("/get?key=k");
      EXPECT_EQ(refused.status, 409U);
      EXPECT_NE(refused.body.find("/kv/"), std::string::npos) << refused.body;
      EXPECT_EQ(refused.field("cache-control"), "no-store");
      ask(put("/kv/k", std::string(bytes, 'x'), fields));
      EXPECT_EQ(get("/get?key=k").status, 200U);
    }
  }
}

TEST(kv_limits, end_json_at_8_mib) {
  http::server_options options;
  options.limits.max_value_bytes = std::size_t{10} << 20;
  test_server server{options};
  raw_client client = server.connect();
  const std::string escaped(std::size_t{1} << 21, '\x01'); // \u0001
  EXPECT_EQ(client.ask(put("/kv/k", escaped)).status, 201U);
  const http_reply refused = client.ask(get_request("/get?key=k"));
  EXPECT_EQ(refused.status, 409U);
  EXPECT_NE(refused.body.find("/kv/"), std::string::npos) << refused.body;
  const std::string plain(std::size_t{7} << 20, 'x');
  EXPECT_EQ(client.ask(put("/kv/k", plain)).status, 204U);
  EXPECT_EQ(client.ask(get_request("/get?key=k")).body.size(), plain.size() + 36);
  EXPECT_TRUE(client.ask(get_request("/kv/k")).body == plain);
}

TEST(kv_limits, refuse_a_long_value_before_it_is_sent) {
  http::server_options options;
  options.limits.max_value_bytes = 100'000;
  test_server server{options};
  const auto ask = [&](const std::string& text) { return server.connect().ask(text); };
  EXPECT_EQ(ask(put("/kv/k", std::string(100'000, 'x'))).status, 201U);
  const std::string start = "PUT /kv/k HTTP/1.1\r\nHost: a\r\n";
  for (const std::string_view more : {"", "Expect: 100-continue\r\n"}) {
    const http_reply refused = ask(start + std::string{more} + "Content-Length: 100001\r\n\r\n");
    EXPECT_EQ(refused.status, 413U);
    EXPECT_NE(refused.body.find("100000 bytes"), std::string::npos) << refused.body;
  }
  EXPECT_EQ(ask(start + "Transfer-Encoding: chunked\r\n\r\n186a1\r\n").status, 413U);
  EXPECT_EQ(server.responses("kv_put", 413), 3U);
  EXPECT_EQ(ask(post_request("/put", std::string(20'000, 'x'))).status, 413U); // has its own limit
}

TEST_F(kv, needs_the_length_of_the_body) {
  EXPECT_EQ(ask("PUT /kv/k HTTP/1.1\r\nHost: a\r\n\r\n").status, 411U);
  EXPECT_EQ(ask(put("/kv/k", "")).status, 201U);
  EXPECT_EQ(ask("PUT /kv/k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
                .status,
            204U);
  EXPECT_EQ(get("/kv/k").body, "abc");
}

TEST_F(kv, stores_a_chunked_body_of_any_length) {
  for (const std::size_t bytes : {1U, 16'000U, 17'000U, 70'000U, 1'000'000U}) {
    std::string value;
    for (int i = 0; value.size() < bytes; ++i) value += std::to_string(i);
    std::string text = "PUT /kv/k HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0; at < value.size(); at += 10'000) {
      const std::string piece = value.substr(at, 10'000);
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      text.append(size).append(piece).append("\r\n");
    }
    const http_reply stored = ask(text + "0\r\n\r\n");
    EXPECT_LT(stored.status, 300U);
    const http_reply shown = get("/kv/k");
    EXPECT_TRUE(shown.body == value);
    EXPECT_EQ(shown.field("content-type"), "a/b");
    EXPECT_EQ(ask(put("/kv/k", value, "Content-Type: a/b\r\n")).field("etag"),
              stored.field("etag"));
  }
}

TEST_F(kv, stores_whole_and_uncoded_values_only) {
  EXPECT_EQ(ask(put("/kv/k", "v", "Content-Range: bytes 0-0/1\r\n")).status, 400U);
  EXPECT_EQ(ask(put("/kv/k", "v", "Content-Encoding: gzip\r\n")).status, 415U);
  EXPECT_EQ(ask(put("/kv/k", "v", "Content-Encoding: identity, br\r\n")).status, 415U);
  EXPECT_EQ(get("/kv/k").status, 404U);
  EXPECT_EQ(ask(put("/kv/k", "v", "Content-Encoding: identity\r\n")).status, 201U);
}

TEST_F(kv, refuses_query_parameters_that_it_does_not_know_by_name) {
  const auto expect_named = [](const http_reply& reply, std::string_view name) {
    EXPECT_EQ(reply.status, 400U) << name;
    EXPECT_NE(reply.body.find("'" + std::string{name} + "'"), std::string::npos) << reply.body;
  };
  expect_named(get("/kv/k?x=1"), "x");
  expect_named(get("/kv/k?ttl=5"), "ttl");
  expect_named(ask(erase("/kv/k?ttl=5")), "ttl");
  expect_named(ask(put("/kv/k?x", "v")), "x");
  expect_named(ask(put("/kv/k?ttl=5&TTL=5", "v")), "TTL");
  expect_named(ask(put("/kv/k?=5", "v")), "");
  expect_named(ask(put("/kv/k?<\"\xff'>", "v")), "<\\\"?'>");
  EXPECT_EQ(get("/kv/k").status, 404U);
  EXPECT_EQ(ask(put("/kv/k?", "v")).status, 201U); // no parameter
  EXPECT_EQ(get("/kv/k?").status, 200U);
  EXPECT_EQ(get("/kv/k?&&").status, 200U); // empty ones are none, as in /get
  EXPECT_EQ(ask(put("/kv/k?&ttl=5&", "v")).status, 204U);
}

TEST_F(kv, takes_a_time_to_live_in_the_range_of_put) {
  for (const std::string_view ttl : {"", "0", "-1", "+1", "1.0", "6e1", " 1", "1 ", "0x1", "a",
                                     "315360001", "99999999999999999999", "%2B1"}) {
    const http_reply reply = ask_once(put("/kv/k?ttl=" + std::string{ttl}, "v"));
    EXPECT_EQ(reply.status, 400U) << ttl;
  }
  EXPECT_EQ(ask(put("/kv/k?ttl", "v")).status, 400U);
  EXPECT_EQ(ask(put("/kv/k?ttl=5&ttl=5", "v")).status, 400U);
  EXPECT_EQ(get("/kv/k").status, 404U);
  for (const std::string_view ttl : {"1", "60", "0060", "315360000"})
    EXPECT_LT(ask(put("/kv/k?ttl=" + std::string{ttl}, "v")).status, 300U) << ttl;
}

TEST_F(kv, shows_the_whole_seconds_that_are_left) {
  ask(put("/kv/k?ttl=3", "v"));
  const auto shown = [&] { return get("/kv/k").field("kv-ttl"); };
  EXPECT_EQ(shown(), "3");
  EXPECT_EQ(head("/kv/k").field("kv-ttl"), "3");
  server_.pass(850ms);
  EXPECT_EQ(shown(), "3");
  server_.pass(200ms);
  EXPECT_EQ(shown(), "2");
  const http_reply unchanged = get("/kv/k", "If-None-Match: *\r\n");
  EXPECT_EQ(unchanged.status, 304U);
  EXPECT_EQ(unchanged.field("kv-ttl"), "2");
  server_.pass(1'850ms);
  EXPECT_EQ(shown(), "1");
  server_.pass(200ms); // over, but the clock of the store is late
  EXPECT_EQ(shown(), "1");
  server_.tell_the_time();
  EXPECT_EQ(get("/kv/k").status, 404U);
}

TEST_F(kv, never_shows_more_seconds_than_were_given) {
  for (int i = 0; i < 300; ++i) {
    ask(put("/kv/k?ttl=7", "v"));
    EXPECT_EQ(get("/kv/k").field("kv-ttl"), "7");
    server_.pass(std::chrono::nanoseconds{1'234'567 * i + i % 3});
  }
}

TEST_F(kv, drops_the_time_to_live_with_the_value) {
  ask(put("/kv/k?ttl=5", "v"));
  ask(put("/kv/k", "w"));
  EXPECT_FALSE(get("/kv/k").has("kv-ttl"));
  ask(put("/kv/k?ttl=5", std::string(100'000, 'x')));
  EXPECT_EQ(get("/kv/k").field("kv-ttl"), "5");
}

TEST(kv_default_ttl, applies_without_a_ttl) {
  http::server_options options;
  options.default_ttl_s = 60;
  test_server server{options};
  raw_client client = server.connect();
  client.ask(put("/kv/k", "v"));
  EXPECT_EQ(client.ask(get_request("/kv/k")).field("kv-ttl"), "60");
  client.ask(put("/kv/k", std::string(100'000, 'x')));
  EXPECT_EQ(client.ask(get_request("/kv/k")).field("kv-ttl"), "60");
  client.ask(put("/kv/k?ttl=5", "v"));
  EXPECT_EQ(client.ask(get_request("/kv/k")).field("kv-ttl"), "5");
}

TEST_F(kv, deletes_without_a_body) {
  ask(put("/kv/k", "v"));
  for (const std::string_view path : {"/kv/k", "/kv/absent"}) {
    EXPECT_EQ(ask(erase(path, "Content-Length: 1\r\n") + "x").status, 400U);
    EXPECT_EQ(ask(erase(path, "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n").status,
              400U);
    EXPECT_EQ(ask_once(erase(path, "Content-Length: 1\r\nExpect: 100-continue\r\n")).status, 400U);
  }
  EXPECT_EQ(get("/kv/k").status, 200U);
  const http_reply deleted = ask(erase("/kv/k", "Content-Length: 0\r\n"));
  EXPECT_EQ(deleted.status, 204U);
  EXPECT_FALSE(deleted.has("content-length"));
  const http_reply absent = ask(erase("/kv/k", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n");
  EXPECT_EQ(absent.status, 404U);
  EXPECT_EQ(absent.body, R"({"status":"ERROR","message":"Key not found."})");
}

// The heads differ in their lengths only, so that the second is recognised by the first.
TEST_F(kv, deletes_without_a_body_behind_a_request_with_one) {
  ask(put("/kv/a", "v"));
  EXPECT_EQ(ask(erase("/kv/b", "Content-Length: 4\r\n") + "body").status, 400U);
  EXPECT_EQ(ask(erase("/kv/b", "Content-Length: 4\r\n") + "body").status, 400U);
  EXPECT_EQ(ask(erase("/kv/a", "Content-Length: 0\r\n")).status, 204U);
}

TEST_F(kv, misses_with_json_that_no_cache_stores) {
  const http_reply miss = get("/kv/k");
  EXPECT_EQ(miss.status, 404U);
  EXPECT_EQ(miss.body, R"({"status":"ERROR","message":"Key not found."})");
  EXPECT_EQ(miss.field("content-type"), "application/json");
  EXPECT_EQ(miss.field("cache-control"), "no-store");
  EXPECT_EQ(head("/kv/k").field("cache-control"), "no-store");
}

TEST_F(kv, allows_its_methods_only) {
  const http_reply options = ask("OPTIONS /kv/k HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(options.status, 204U);
  EXPECT_EQ(options.field("allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  for (const std::string_view method : {"PATCH", "TRACE"}) {
    const http_reply refused =
        ask(std::string{method} + " /kv/k HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(refused.status, 405U) << method;
    EXPECT_EQ(refused.field("allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  }
}

TEST_F(kv, does_not_write_for_pages_of_other_origins) {
  const std::string other = "Sec-Fetch-Site: cross-site\r\n";
  EXPECT_EQ(ask(put("/kv/k", "v", other)).status, 403U);
  EXPECT_EQ(ask(erase("/kv/k", other)).status, 403U);
  EXPECT_EQ(ask(put("/kv/k", "v", "Origin: http://b\r\n")).status, 403U);
  EXPECT_EQ(ask(put("/kv/k", "v", "Origin: http://a\r\n")).status, 201U);
  EXPECT_EQ(get("/kv/k", other).status, 200U); // without CORS, the page cannot read it
}

// Before a condition: 400 of the parameters, 401, 403, 411, 413, 415 (RFC 9110 §13.2.1).
TEST(kv_order, puts_other_refusals_before_a_failing_condition) {
  const http::token_authorizer tokens{
      {{"r", http::permission::read}, {"w", http::permission::write}}};
  http::server_services services;
  services.authorization = &tokens;
  test_server server{{}, services};
  const auto ask = [&](const std::string& text) { return server.connect().ask(text).status; };
  const std::string failing = "If-Match: \"x\"\r\n";
  const std::string writer = failing + "Authorization: Bearer w\r\n";
  EXPECT_EQ(ask(put("/kv/k", "v", writer)), 412U);
  EXPECT_EQ(ask(put("/kv/k", "v", failing)), 401U);
  EXPECT_EQ(ask(put("/kv/k", "v", failing + "Authorization: Bearer r\r\n")), 403U);
  EXPECT_EQ(ask(put("/kv/k", "v", writer + "Origin: http://b\r\n")), 403U);
  EXPECT_EQ(ask("PUT /kv/k HTTP/1.1\r\nHost: a\r\n" + writer + "\r\n"), 411U);
  EXPECT_EQ(ask("PUT /kv/k HTTP/1.1\r\nHost: a\r\n" + writer + "Content-Length: 9999999\r\n\r\n"),
            413U);
  EXPECT_EQ(ask(put("/kv/k", "v", writer + "Content-Encoding: br\r\n")), 415U);
  EXPECT_EQ(ask(put("/kv/k?ttl=0", "v", writer)), 400U);
  EXPECT_EQ(ask(put("/kv/k?x=0", "v", writer)), 400U);
  EXPECT_EQ(ask(put("/kv/%FF", "v", writer)), 400U);
  EXPECT_EQ(ask(put("/kv/k", "v", writer + "Content-Type: x\r\n")), 400U);
  EXPECT_EQ(ask(put("/kv/k", "v", writer + "Content-Range: x\r\n")), 400U);
  EXPECT_EQ(ask(put("/kv/k", std::string(100'000, 'x'), writer)), 412U);
  EXPECT_EQ(ask(get_request("/kv/k")), 401U);
  EXPECT_EQ(ask(get_request("/kv/k", "Authorization: Bearer r\r\n")), 404U);
}

TEST_F(kv, asks_no_client_for_a_body_that_would_be_refused) { // RFC 9110 §10.1.1
  const auto expecting = [&](std::string_view path, std::string_view fields) {
    return ask_once("PUT " + std::string{path} +
                    " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + std::string{fields} +
                    "\r\n")
        .status;
  };
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\n"), 100U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1048577\r\n"), 413U);
  EXPECT_EQ(expecting("/kv/k?x", "Content-Length: 1\r\n"), 400U);
  EXPECT_EQ(expecting("/kv/%", "Content-Length: 1\r\n"), 400U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\nContent-Encoding: gzip\r\n"), 415U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\nIf-Match: w/\"a\"\r\n"), 400U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\nIf-Match: *\r\n"), 412U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 500000\r\nIf-Match: *\r\n"), 412U);
  ask(put("/kv/k", "v"));
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\nIf-Match: *\r\n"), 100U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 500000\r\nIf-Match: *\r\n"), 100U);
  EXPECT_EQ(expecting("/kv/k", "Content-Length: 1\r\nIf-None-Match: *\r\n"), 412U);
}

TEST_F(kv, counts_its_requests_by_operation_and_outcome) {
  ask(put("/kv/k", "v"));                                                    // inserted
  ask(put("/kv/k", "w"));                                                    // replaced
  ask(put("/kv/k", std::string(100'000, 'x')));                              // replaced
  ask(put("/kv/k", "x", "If-None-Match: *\r\n"));                            // failed
  ask_once(put("/kv/k", std::string(100'000, 'x'), "If-None-Match: *\r\n")); // failed
  get("/kv/k");                                                              // hit
  get("/kv/k", "If-None-Match: *\r\n");                                      // hit
  get("/kv/absent");                                                         // miss
  ask(erase("/kv/k"));
  ask(erase("/kv/k"));
  const observe::counters_snapshot counted = server_.counted();
  EXPECT_EQ(counted.of(observe::event::put_inserted), 1U);
  EXPECT_EQ(counted.of(observe::event::put_replaced), 2U);
  EXPECT_EQ(counted.of(observe::event::put_precondition_failed), 2U);
  EXPECT_EQ(counted.puts(), 3U);
  EXPECT_EQ(counted.hits(), 2U);
  EXPECT_EQ(counted.misses(), 1U);
  EXPECT_EQ(counted.deletes(), 1U);
  EXPECT_EQ(counted.deletes_not_found(), 1U);
  EXPECT_EQ(counted.responses_sent(), 10U);
  EXPECT_EQ(server_.responses("kv_put", 201), 1U);
  EXPECT_EQ(server_.responses("kv_put", 204), 2U);
  EXPECT_EQ(server_.responses("kv_put", 412), 2U);
  EXPECT_EQ(server_.responses("kv_get", 200), 1U);
  EXPECT_EQ(server_.responses("kv_get", 304), 1U);
  EXPECT_EQ(server_.responses("kv_get", 404), 1U);
  EXPECT_EQ(server_.responses("kv_delete", 204), 1U);
  EXPECT_EQ(server_.responses("kv_delete", 404), 1U);
}

// The memo describes the third request of a kind; its answer is that of the first.
TEST_F(kv, answers_alike_whether_a_head_is_parsed_or_recognised) {
  for (int i = 0; i < 4; ++i) {
    const std::string key = "/kv/key-" + std::to_string(i);
    const http_reply stored = ask(put(key, "v", "Content-Type: a/b\r\nIf-None-Match: *\r\n"));
    EXPECT_EQ(stored.status, 201U);
    EXPECT_EQ(get(key).field("content-type"), "a/b");
    EXPECT_EQ(ask(put(key, "v", "Content-Type: a/b\r\nIf-None-Match: *\r\n")).status, 412U);
    EXPECT_EQ(get(key + "?x=1").status, 400U);
    EXPECT_EQ(get("/kv/%FF").status, 400U);
  }
  for (int i = 0; i < 4; ++i) {
    const std::string key = "/kv/key-" + std::to_string(i);
    EXPECT_EQ(ask(put(key, "w", "Content-Range: x\r\n")).status, 400U);
    const std::string tag = get(key).field("etag");
    EXPECT_EQ(get(key, "If-None-Match: \"x\"\r\nIf-None-Match: " + tag + "\r\n").status, 304U);
    EXPECT_EQ(ask(erase(key, "If-Match: \"x\"\r\nIf-Match: " + tag + "\r\n")).status, 204U);
  }
}

} // namespace
} // namespace kvcache::test
