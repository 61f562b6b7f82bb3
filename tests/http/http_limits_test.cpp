#include "http/http_limits.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "http/put_body.hpp"
#include "http/request_parser.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// Puts and gets the longest key in its longest spelling, through parser, body and target.
void expect_longest_key_fits(const http_limits& limits) {
  const std::string spelled = repeated("\\uD83D\\uDE00", limits.max_key_chars);
  const std::string body = R"({ "\u006b\u0065\u0079" : ")" + spelled +
                           R"(" , "\u0076\u0061\u006c\u0075\u0065" : ")" +
                           repeated("\\uD83D\\uDE00", limits.max_value_chars) + R"(", "ttl": 60 })";
  const std::string put =
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
  const std::string get = "GET http://some.host.example:7171/get?other=1&key=" +
                          repeated("%F0%9F%98%80", limits.max_key_chars) +
                          " HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(parser.parse(get).status, parse_status::complete);
  std::string decoded;
  std::string_view found;
  ASSERT_FALSE(find_key(parser.current().query, limits, decoded, found));
  EXPECT_TRUE(found == key);
}

TEST(http_limits, let_the_longest_key_and_value_through_by_default) {
  expect_longest_key_fits(http_limits{});
}

TEST(http_limits, follow_the_character_limits_when_those_are_raised) {
  http_limits limits;
  limits.max_key_chars = 5000;
  limits.max_value_chars = 100'000;
  expect_longest_key_fits(limits.raised_for_characters());
}

TEST(http_limits, are_not_lowered_by_small_character_limits) {
  http_limits limits;
  limits.max_key_chars = limits.max_value_chars = 1;
  const http_limits raised = limits.raised_for_characters();
  EXPECT_EQ(raised.body_bytes, limits.body_bytes);
  EXPECT_EQ(raised.target_bytes, limits.target_bytes);
  EXPECT_EQ(raised.head_bytes, limits.head_bytes);
}

TEST(http_limits, stay_sane_for_absurd_character_limits) {
  http_limits limits;
  limits.max_key_chars = limits.max_value_chars = std::numeric_limits<std::size_t>::max();
  const http_limits raised = limits.raised_for_characters();
  EXPECT_GT(raised.body_bytes, limits.body_bytes);
  EXPECT_GT(raised.request_bytes(), raised.body_bytes); // no wrap-around
}

} // namespace
} // namespace kvcache::http
