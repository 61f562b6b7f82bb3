#include "http/http_limits.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>

#include "api/put_body.hpp"
#include "http/request_parser.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// The longest key and value in their longest spelling.
std::string longest_body(const http_limits& limits) {
  return R"({ "\u006b\u0065\u0079" : ")" + repeated("\\uD83D\\uDE00", limits.max_key_chars) +
         R"(" , "\u0076\u0061\u006c\u0075\u0065" : ")" +
         repeated("\\uD83D\\uDE00", limits.max_value_chars) + R"(", "ttl": 60 })";
}

// Puts and gets the longest key, through parser, body and target.
void expect_longest_key_fits(const http_limits& limits) {
  const std::string body = longest_body(limits);
  std::string put =
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body;
  request_parser parser(limits);
  ASSERT_EQ(parser.parse(put).status, parse_status::complete);
  body_scratch scratch;
  put_body got;
  ASSERT_FALSE(parse_put_body(parser.current().body, limits, scratch, got));
  const std::string key = repeated("\xF0\x9F\x98\x80", limits.max_key_chars);
  EXPECT_TRUE(got.key == key);
  EXPECT_TRUE(got.value == repeated("\xF0\x9F\x98\x80", limits.max_value_chars));

  parser.reset();
  std::string get = "GET http://some.host.example:7171/get?other=1&key=" +
                    repeated("%F0%9F%98%80", limits.max_key_chars) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(parser.parse(get).status, parse_status::complete);
  std::string decoded;
  std::string_view found;
  ASSERT_FALSE(find_key(parser.current().query, limits, decoded, found));
  EXPECT_TRUE(found == key);
}

TEST(http_limits, allow_the_longest_key_and_value_by_default) {
  expect_longest_key_fits(http_limits{});
}

TEST(http_limits, follow_the_character_limits_when_those_are_raised) {
  http_limits limits;
  limits.max_key_chars = 5000;
  limits.max_value_chars = 100'000;
  expect_longest_key_fits(limits.raised_for_characters());
}

// The body of a PUT, as a client sends it that reads it from somewhere in pieces.
std::string in_chunks(std::string_view body, std::size_t chunk_bytes) {
  std::ostringstream text;
  text << "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" << std::hex;
  for (std::size_t at = 0; at < body.size(); at += chunk_bytes) {
    const std::string_view chunk = body.substr(at, chunk_bytes);
    text << chunk.size() << "\r\n" << chunk << "\r\n";
  }
  text << "0\r\n\r\n";
  return text.str();
}

TEST(http_limits, allow_the_longest_body_in_chunks_of_usual_sizes) {
  for (const std::size_t value_chars : {256U, 100'000U, 1'000'000U}) {
    http_limits limits;
    limits.max_value_chars = value_chars;
    limits = limits.raised_for_characters();
    const std::string body = longest_body(limits);
    for (const std::size_t chunk_bytes : {512U, 4096U, 65'536U}) {
      request_parser parser(limits);
      std::string text = in_chunks(body, chunk_bytes);
      const parse_result result = parser.parse(text);
      EXPECT_EQ(result.status, parse_status::complete) << name_of(result.why) << value_chars;
      EXPECT_TRUE(parser.current().body == body) << value_chars;
    }
  }
}

TEST(http_limits, limit_chunk_framing_to_a_small_part_of_the_body) {
  http_limits limits;
  limits.max_value_chars = 100'000;
  limits = limits.raised_for_characters();
  EXPECT_LE(limits.chunk_overhead_bytes, limits.body_bytes / 16);
  request_parser parser(limits);
  std::string text = in_chunks(longest_body(limits), 16);
  EXPECT_EQ(parser.parse(text).why, fault::chunk_overhead_too_large);
}

TEST(http_limits, are_not_lowered_by_small_character_limits) {
  http_limits limits;
  limits.max_key_chars = limits.max_value_chars = 1;
  const http_limits raised = limits.raised_for_characters();
  EXPECT_EQ(raised.body_bytes, limits.body_bytes);
  EXPECT_EQ(raised.target_bytes, limits.target_bytes);
  EXPECT_EQ(raised.head_bytes, limits.head_bytes);
  EXPECT_EQ(raised.chunk_overhead_bytes, limits.chunk_overhead_bytes);
}

TEST(http_limits, do_not_overflow_for_the_largest_character_limits) {
  http_limits limits;
  limits.max_key_chars = limits.max_value_chars = std::numeric_limits<std::size_t>::max();
  const http_limits raised = limits.raised_for_characters();
  EXPECT_GT(raised.body_bytes, limits.body_bytes);
  EXPECT_GT(raised.request_bytes(), raised.body_bytes); // no wrap-around
}

} // namespace
} // namespace kvcache::http
