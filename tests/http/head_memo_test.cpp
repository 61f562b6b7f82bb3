// A parser that has seen a request before must say the same of the next one as a fresh parser does.
#include "http/head_memo.hpp"

#include "http/parsing.hpp"

#include <vector>

namespace kvcache::http::testing {
namespace {

const http_limits defaults;

// What a parser that has just read `before` makes of `text`.
parsed parse_after(std::string_view before, std::string_view text,
                   const http_limits& limits = defaults) {
  request_parser parser(limits);
  {
    const exact_copy input(before);
    EXPECT_EQ(parser.parse(input.view()).status, parse_status::complete) << before;
    parser.reset();
  }
  const exact_copy input(text);
  const parse_result result = parser.parse(input.view());
  return describe(result, parser.current());
}

void expect_same_as_fresh(std::string_view before, std::string_view text) {
  const parsed again = parse_after(before, text);
  const parsed fresh = parse_at_once(text);
  EXPECT_EQ(again.status, fresh.status) << text;
  EXPECT_TRUE(again == fresh) << "after:\n" << before << "\nthis:\n" << text;
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all{
      "GET /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /get?key=longer-than-that HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /get?key=a HTTP/1.1\r\nHost: b\r\n\r\n",
      "GET /get?key=a HTTP/1.0\r\nHost: a\r\n\r\n",
      "GET /get?key=a HTTP/1.0\r\n\r\n",
      "HEAD /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /get?key=a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "GET /get?key=a HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAuthorization: Bearer "
      "x\r\nSec-Fetch-Site: none\r\n\r\n",
      "GET /get?key=a HTTP/1.1\r\nHost: a\r\nX: " + std::string(300, 'x') + "\r\n\r\n",
      "GET http://b/get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
      "\r\nGET /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "PUT /put HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz",
      "POST /delete HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
  return all;
}

TEST(head_memo, changes_nothing_for_any_request_after_any_other) {
  for (const std::string& before : texts()) {
    for (const std::string& text : texts()) {
      expect_same_as_fresh(before, text);
      expect_same_as_fresh(before, text + before); // a pipeline
    }
  }
}

TEST(head_memo, changes_nothing_for_any_byte_changed_inserted_or_left_out) {
  for (const std::string& before : texts()) {
    if (before.size() > 200) continue;
    for (std::size_t i = 0; i < before.size(); ++i) {
      for (const char byte : {'\0', '\r', '\n', ' ', 'x', ':', '/', '\x7f', '\xff'}) {
        std::string changed = before;
        changed[i] = byte;
        expect_same_as_fresh(before, changed);
        std::string longer = before;
        longer.insert(i, 1, byte);
        expect_same_as_fresh(before, longer);
      }
      std::string shorter = before;
      shorter.erase(i, 1);
      expect_same_as_fresh(before, shorter);
      expect_same_as_fresh(before, before.substr(0, i)); // cut off
    }
  }
}

TEST(head_memo, holds_a_longer_target_to_the_limits_all_the_same) {
  const auto with_target = [](std::size_t bytes) {
    return "GET /" + std::string(bytes - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(parse_after(texts()[0], with_target(defaults.target_bytes)).status,
            parse_status::complete);
  EXPECT_EQ(parse_after(texts()[0], with_target(defaults.target_bytes + 1)).why,
            fault::target_too_long);
  http_limits tight;
  tight.head_bytes = texts()[0].size() + 10;
  EXPECT_EQ(
      parse_after(texts()[0], "GET /get?key=a0123456789 HTTP/1.1\r\nHost: a\r\n\r\n", tight).status,
      parse_status::complete);
  EXPECT_EQ(
      parse_after(texts()[0], "GET /get?key=a0123456789x HTTP/1.1\r\nHost: a\r\n\r\n", tight).why,
      fault::head_too_large);
}

TEST(head_memo, recognises_what_it_has_learnt_with_another_target_only) {
  const std::string first = "GET /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n";
  const std::string second = "GET /get?key=bcd HTTP/1.1\r\nHost: cache\r\n\r\n";
  request_parser parser(defaults);
  ASSERT_EQ(parser.parse(first).status, parse_status::complete);
  head_memo memo;
  request got;
  EXPECT_EQ(memo.recognise(first, defaults, got), 0U); // nothing learnt yet
  memo.learn(first, first.size(), parser.current());
  const std::string pipeline = second + first;
  ASSERT_EQ(memo.recognise(pipeline, defaults, got), second.size());
  EXPECT_EQ(got.target, "/get?key=bcd");
  EXPECT_EQ(got.host, "cache");
  EXPECT_EQ(memo.recognise("GET /get?key=a HTTP/1.1\r\nHost: other\r\n\r\n", defaults, got), 0U);
  EXPECT_EQ(memo.recognise("HEAD /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n", defaults, got), 0U);
  EXPECT_EQ(memo.recognise(second.substr(0, second.size() - 1), defaults, got), 0U);
}

} // namespace
} // namespace kvcache::http::testing
