// The body of a PUT to a value's path: its own limit, and storing it elsewhere while it arrives.
#include "http/request_parser.hpp"

#include "http/parsing.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kvcache::http::testing {
namespace {

http_limits small_limits() {
  http_limits limits;
  limits.body_bytes = 10;
  limits.max_value_bytes = 20;
  return limits;
}

std::string with_target(std::string_view start, std::string_view body, std::string_view length) {
  return std::string(start) + " HTTP/1.1\r\nHost: cache\r\nContent-Length: " + std::string(length) +
         "\r\n\r\n" + std::string(body);
}

TEST(value_body, has_a_limit_of_its_own) {
  const http_limits limits = small_limits();
  const std::string twenty(20, 'x');
  EXPECT_EQ(why_refused(with_target("PUT /kv/a", twenty, "20"), limits), "(accepted)");
  EXPECT_EQ(why_refused(with_target("PUT http://other/kv/a", twenty, "20"), limits), "(accepted)");
  EXPECT_EQ(why_refused(with_target("PUT /kv/a?ttl=1", twenty, "20"), limits), "(accepted)");
  EXPECT_EQ(why_refused(with_target("PUT /kv/a", "", "21"), limits), "value_too_large");
  for (const std::string_view other :
       {"POST /kv/a", "DELETE /kv/a", "PUT /kv", "PUT /put", "PUT /x/kv/a", "PUT /put?a=/kv/"})
    EXPECT_EQ(why_refused(with_target(other, "", "11"), limits), "body_too_large") << other;
}

TEST(value_body, has_the_same_limit_if_it_is_chunked) {
  const http_limits limits = small_limits();
  const std::string head =
      "PUT /kv/a HTTP/1.1\r\nHost: cache\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(why_refused(head + "a\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", limits),
            "(accepted)");
  EXPECT_EQ(why_refused(head + "15\r\n0", limits), "value_too_large"); // before reading it
  EXPECT_EQ(why_refused(head + "a\r\n0123456789\r\nb\r\n0", limits), "value_too_large");
}

TEST(value_body, has_its_limit_where_the_head_is_recognised) {
  http_limits limits = small_limits();
  std::swap(limits.body_bytes, limits.max_value_bytes);
  request_parser parser(limits);
  for (const auto& [bytes, fits] : {std::pair{5, true}, {10, true}, {11, false}}) {
    std::string text = with_target("PUT /kv/a", std::string(static_cast<std::size_t>(bytes), 'x'),
                                   std::to_string(bytes));
    const parse_result got = parser.parse({text.data(), text.size()});
    EXPECT_EQ(got.status, fits ? parse_status::complete : parse_status::refused) << bytes;
    if (!fits) {
      EXPECT_EQ(got.why, fault::value_too_large);
      break;
    }
    parser.reset();
  }
}

TEST(value_body, states_its_length_unless_it_is_chunked) {
  const http_limits limits;
  request_parser stated(limits);
  std::string head = with_target("PUT /kv/a", "", "7");
  EXPECT_FALSE(stated.stated_body_bytes());
  ASSERT_EQ(stated.parse({head.data(), head.size()}).status, parse_status::need_more);
  EXPECT_EQ(stated.stated_body_bytes(), 7U);
  EXPECT_EQ(stated.kind(), body_kind::value);

  request_parser chunked(limits);
  std::string chunks =
      "PUT /kv/a HTTP/1.1\r\nHost: cache\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n";
  ASSERT_EQ(chunked.parse({chunks.data(), chunks.size()}).status, parse_status::need_more);
  EXPECT_FALSE(chunked.stated_body_bytes());
  EXPECT_EQ(chunked.kind(), body_kind::value);
}

struct stored {
  std::string body;
  std::string left; // behind the request
};

// Stores what has arrived after every piece of so many bytes.
stored store_piecewise(std::string_view text, std::size_t piece) {
  const http_limits limits;
  request_parser parser(limits);
  std::string input;
  stored got;
  while (!text.empty()) {
    input += text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
    const std::span<char> bytes{input.data(), input.size()};
    const parse_result result = parser.parse(bytes);
    if (result.status == parse_status::refused) return {"refused", {}};
    if (parser.phase() != parse_phase::body) continue;
    got.body += parser.arrived_body(input);
    if (result.status == parse_status::complete) {
      EXPECT_EQ(parser.current().path, "/kv/a");
      got.left = input.substr(result.consumed) + std::string(text);
      return got;
    }
    EXPECT_EQ(parser.describe_head(input).path, "/kv/a");
    input.resize(input.size() - parser.drop_arrived_body(bytes));
  }
  return {"incomplete", {}};
}

TEST(value_body, is_the_same_if_it_is_stored_while_it_arrives_in_chunks) {
  const std::string text = "\r\nPUT /kv/a HTTP/1.1\r\nHost: cache\r\nTransfer-Encoding: chunked\r\n"
                           "\r\n3;name=value\r\nabc\r\n10\r\n0123456789abcdef\r\n1\r\nz\r\n0\r\n"
                           "Trailer: x\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const stored got = store_piecewise(text + "GET /", piece);
    EXPECT_EQ(got.body, "abc0123456789abcdefz") << piece;
    EXPECT_EQ(got.left, "GET /") << piece;
  }
}

TEST(value_body, counts_what_has_been_stored_against_the_limit) {
  const http_limits limits = small_limits();
  request_parser parser(limits);
  std::string input = "PUT /kv/a HTTP/1.1\r\nHost: cache\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "a\r\n0123456789\r\n";
  ASSERT_EQ(parser.parse({input.data(), input.size()}).status, parse_status::need_more);
  input.resize(input.size() - parser.drop_arrived_body({input.data(), input.size()}));
  EXPECT_TRUE(parser.arrived_body(input).empty());
  input += "b\r\n";
  EXPECT_EQ(parser.parse({input.data(), input.size()}).why, fault::value_too_large);
}

} // namespace
} // namespace kvcache::http::testing
