// Conditional requests to /kv/{key}: each method, in each state of the key, under each condition.
// The sections are those of RFC 9110; a case's name begins with the one that decides.
#include <array>
#include <barrier>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

enum class key_state : std::uint8_t {
  never_put,
  deleted,
  expired,
  small,
  large,
  typed,
  put_as_json
};

constexpr std::array<std::string_view, 7> state_names{"never_put", "deleted", "expired",    "small",
                                                      "large",     "typed",   "put_as_json"};
constexpr std::array<std::string_view, 4> method_names{"GET", "HEAD", "PUT", "DELETE"};

bool is_present(key_state state) { return state >= key_state::small; }

// The statuses that GET (and HEAD), PUT and DELETE get.
struct outcomes {
  unsigned reads;
  unsigned put;
  unsigned erase;
};

struct condition {
  std::string_view name; // begins with the section
  std::string_view
      fields; // T is the present tag, or that of the entry that was there; O another one
  outcomes absent;
  outcomes present;
};

constexpr outcomes plain_absent{404, 201, 404};
constexpr outcomes plain_present{200, 204, 204};
constexpr outcomes match_absent{404, 412, 404}; // §13.2.1: GET and DELETE would not succeed anyway
constexpr outcomes failed{412, 412, 412};
constexpr outcomes none_match_failed{304, 412, 412};
constexpr outcomes malformed{400, 400, 400};

constexpr condition conditions[] = {
    {"s9_3_no_condition", "", plain_absent, plain_present},

    {"s13_1_1_if_match_the_tag", "If-Match: T\r\n", match_absent, plain_present},
    {"s13_1_1_if_match_another_tag", "If-Match: O\r\n", match_absent, failed},
    {"s13_1_1_if_match_any", "If-Match: *\r\n", match_absent, plain_present},
    {"s13_1_1_if_match_a_list", "If-Match: O, T\r\n", match_absent, plain_present},
    {"s13_1_1_if_match_a_list_of_others", "If-Match: O, \"x\"\r\n", match_absent, failed},
    {"s8_8_3_2_if_match_compares_strongly", "If-Match: W/T\r\n", match_absent, failed},
    {"s8_8_3_2_if_match_weak_and_strong", "If-Match: W/T, T\r\n", match_absent, plain_present},
    {"s8_8_3_if_match_tag_with_comma", "If-Match: \"a,b\",T\r\n", match_absent, plain_present},
    {"s5_3_if_match_on_two_lines", "If-Match: O\r\nX: y\r\nIf-Match: T\r\n", match_absent,
     plain_present},
    {"s5_3_if_match_on_two_lines_of_others", "If-Match: O\r\nIf-Match: \"x\"\r\n", match_absent,
     failed},
    {"s5_6_1_if_match_empty_elements", "If-Match: ,, O ,\t, T ,\r\n", match_absent, plain_present},
    {"s5_6_1_if_match_empty", "If-Match:\r\n", match_absent, failed},
    {"s5_6_1_if_match_commas_only", "If-Match: , ,\r\n", match_absent, failed},
    {"s5_1_field_names_in_any_case", "iF-mAtCh: O\r\n", match_absent, failed},

    {"s13_1_2_if_none_match_the_tag", "If-None-Match: T\r\n", plain_absent, none_match_failed},
    {"s13_1_2_if_none_match_another_tag", "If-None-Match: O\r\n", plain_absent, plain_present},
    {"s13_1_2_if_none_match_any", "If-None-Match: *\r\n", plain_absent, none_match_failed},
    {"s13_1_2_if_none_match_a_list", "If-None-Match: O, T\r\n", plain_absent, none_match_failed},
    {"s8_8_3_2_if_none_match_compares_weakly", "If-None-Match: W/T\r\n", plain_absent,
     none_match_failed},
    {"s5_3_if_none_match_on_two_lines", "If-None-Match: O\r\nIf-None-Match: T\r\n", plain_absent,
     none_match_failed},
    {"s5_3_if_none_match_empty_line_and_tag", "If-None-Match:\r\nIf-None-Match: T\r\n",
     plain_absent, none_match_failed},
    {"s5_6_1_if_none_match_empty", "If-None-Match:\r\n", plain_absent, plain_present},

    {"s13_2_2_both_hold_for_the_tag", "If-Match: T\r\nIf-None-Match: T\r\n", match_absent,
     none_match_failed},
    {"s13_2_2_if_match_comes_first", "If-None-Match: T\r\nIf-Match: O\r\n", match_absent, failed},
    {"s13_2_2_both_met", "If-Match: T\r\nIf-None-Match: O\r\n", match_absent, plain_present},
    {"s13_2_2_any_and_none", "If-Match: *\r\nIf-None-Match: *\r\n", match_absent,
     none_match_failed},

    {"s13_1_1_unquoted_tag", "If-Match: abc\r\n", malformed, malformed},
    {"s13_1_1_any_with_a_tag", "If-Match: *, T\r\n", malformed, malformed},
    {"s13_1_1_tag_and_any_on_two_lines", "If-Match: T\r\nIf-Match: *\r\n", malformed, malformed},
    {"s13_1_1_any_twice", "If-Match: *\r\nIf-Match: *\r\n", malformed, malformed},
    {"s8_8_3_lower_case_weak_mark", "If-Match: w/T\r\n", malformed, malformed},
    {"s8_8_3_missing_comma", "If-None-Match: T O\r\n", malformed, malformed},
    {"s8_8_3_open_quote", "If-None-Match: \"abc\r\n", malformed, malformed},
    {"s8_8_3_single_quotes", "If-None-Match: 'abc'\r\n", malformed, malformed},
    {"s8_8_3_text_behind_a_tag", "If-None-Match: T;x\r\n", malformed, malformed},
    {"s8_8_3_space_in_a_tag", "If-None-Match: \"a b\"\r\n", malformed, malformed},
    {"s13_1_2_malformed_second_line", "If-None-Match: O\r\nIf-None-Match: x\r\n", malformed,
     malformed},
    {"s13_1_2_malformed_beside_a_failing_if_match", "If-Match: O\r\nIf-None-Match: x\r\n",
     malformed, malformed},

    {"s13_1_3_dates_are_ignored_since", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
     plain_absent, plain_present},
    {"s13_1_4_dates_are_ignored_unmodified",
     "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", plain_absent, plain_present},
    {"s14_2_range_is_ignored", "Range: bytes=0-0\r\nIf-Range: T\r\n", plain_absent, plain_present},
};

std::string request(std::string_view method, std::string_view fields, std::string_view body = {}) {
  std::string text{method};
  text.append(" /kv/k HTTP/1.1\r\nHost: a\r\n").append(fields);
  if (method == "PUT")
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  return text.append("\r\n").append(body);
}

std::string with_tag(std::string_view fields, const std::string& tag) {
  std::string text;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const bool alone =
        (i + 1 == fields.size() || !std::isalnum(static_cast<unsigned char>(fields[i + 1]))) &&
        (i == 0 || !std::isalnum(static_cast<unsigned char>(fields[i - 1])));
    if (alone && fields[i] == 'T')
      text += tag;
    else if (alone && fields[i] == 'O')
      text += "\"0000000000000000\"";
    else
      text += fields[i];
  }
  return text;
}

const std::string small_value{"old\0\xff", 5};
const std::string new_body = "new";

class kv_table {
public:
  http_reply ask(std::string_view method, const std::string& fields, std::string_view body = {}) {
    client_.send(request(method, fields, body));
    return client_.read_reply(method == "HEAD");
  }

  // Brings the key into the state. Returns the tag of what it has, or had.
  std::string enter(key_state state) {
    ask("DELETE", "");
    value_ = state == key_state::large ? std::string(10'000, 'l') : small_value;
    if (state == key_state::put_as_json) {
      value_ = "text";
      EXPECT_EQ(client_.ask(put_request("k", value_)).status, 200U);
      return ask("GET", "").field("etag");
    }
    const std::string path = state == key_state::expired ? "/kv/k?ttl=1" : "/kv/k";
    const std::string type = state == key_state::typed ? "Content-Type: image/png\r\n" : "";
    const http_reply made =
        client_.ask("PUT " + path + " HTTP/1.1\r\nHost: a\r\n" + type +
                    "Content-Length: " + std::to_string(value_.size()) + "\r\n\r\n" + value_);
    EXPECT_EQ(made.status, 201U);
    if (state == key_state::deleted || state == key_state::never_put) {
      EXPECT_EQ(ask("DELETE", "").status, 204U);
    }
    if (state == key_state::expired) {
      server_.pass(std::chrono::seconds{2});
      server_.tell_the_time();
    }
    return state == key_state::never_put ? "\"ffffffffffffffff\"" : made.field("etag");
  }

  const std::string& value() const { return value_; }

private:
  test_server server_;
  raw_client client_ = server_.connect();
  std::string value_;
};

void expect_the_head_of(const http_reply& reply, std::string_view method, const std::string& tag) {
  switch (reply.status) {
  case 200:
  case 304:
    EXPECT_EQ(reply.field("etag"), tag);
    EXPECT_EQ(reply.field("cache-control"), "no-cache");
    EXPECT_TRUE(reply.has("date"));
    break;
  case 201:
    EXPECT_EQ(reply.field("content-length"), "0");
    EXPECT_EQ(reply.field("etag").size(), 18U);
    break;
  case 204:
    EXPECT_EQ(reply.has("etag"), method == "PUT");
    break;
  default:
    EXPECT_EQ(reply.field("cache-control"), "no-store");
    EXPECT_EQ(reply.field("content-type"), "application/json");
    EXPECT_FALSE(reply.has("etag"));
  }
  if (reply.status == 304 || reply.status == 204) { // §8.6
    EXPECT_FALSE(reply.has("content-length"));
    EXPECT_FALSE(reply.has("content-type"));
  }
}

// What the key has afterwards.
void expect_applied(kv_table& table, const http_reply& reply, std::string_view method,
                    bool was_present) {
  const bool is_applied = reply.status == 201 || reply.status == 204;
  const http_reply now = table.ask("GET", "");
  if (method == "PUT" && is_applied) {
    EXPECT_EQ(now.body, new_body);
    EXPECT_EQ(now.field("etag"), reply.field("etag"));
  } else if (method == "DELETE" && is_applied) {
    EXPECT_EQ(now.status, 404U);
  } else {
    EXPECT_EQ(now.status, was_present ? 200U : 404U);
    if (was_present) {
      EXPECT_EQ(now.body, table.value());
    }
  }
}

class kv_conditions : public testing::TestWithParam<std::size_t> {};

TEST_P(kv_conditions, decide_by_the_section_for_each_method_and_state) {
  const condition& row = conditions[GetParam()];
  kv_table table;
  for (std::size_t s = 0; s < state_names.size(); ++s) {
    const auto state = static_cast<key_state>(s);
    for (const std::string_view method : method_names) {
      SCOPED_TRACE(std::string{row.name} + ": " + std::string{method} + ", " +
                   std::string{state_names[s]});
      const std::string tag = table.enter(state);
      const outcomes& expected = is_present(state) ? row.present : row.absent;
      const http_reply reply = table.ask(method, with_tag(row.fields, tag),
                                         method == "PUT" ? std::string_view{new_body} : "");
      EXPECT_EQ(reply.status, method == "PUT"      ? expected.put
                              : method == "DELETE" ? expected.erase
                                                   : expected.reads);
      EXPECT_EQ(reply.body.empty(), method == "HEAD" || reply.status == 201 ||
                                        reply.status == 204 || reply.status == 304);
      expect_the_head_of(reply, method, tag);
      expect_applied(table, reply, method, is_present(state));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(rfc_9110, kv_conditions,
                         testing::Range<std::size_t>(0, std::size(conditions)),
                         [](const testing::TestParamInfo<std::size_t>& row) {
                           return std::string{conditions[row.param].name};
                         });

constexpr std::size_t racers = 8;

// All send their request at once, each on a connection of its own. Returns how often each status
// came.
template <class RequestOf>
std::map<unsigned, std::size_t> race(test_server& server, RequestOf request_of) {
  std::array<unsigned, racers> statuses{};
  std::barrier start{racers};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < racers; ++i) {
    threads.emplace_back([&, i] {
      const std::string text = request_of(i);
      raw_client client = server.connect();
      start.arrive_and_wait();
      statuses[i] = client.ask(text).status;
    });
  }
  threads.clear(); // joins them
  std::map<unsigned, std::size_t> times;
  for (const unsigned status : statuses) ++times[status];
  return times;
}

using statuses = std::map<unsigned, std::size_t>;

TEST(kv_races, have_exactly_one_winner) {
  http::server_options options;
  options.threads = 4;
  test_server server{options};
  raw_client reader = server.connect();
  for (const std::size_t bytes : {10U, 100'000U}) {
    const auto value_of = [bytes](std::size_t i) {
      return std::string(bytes, static_cast<char>('a' + i));
    };
    for (int round = 0; round < 25; ++round) {
      const statuses created = race(server, [&](std::size_t i) {
        return request("PUT", "If-None-Match: *\r\n", value_of(i));
      });
      EXPECT_EQ(created, (statuses{{201, 1}, {412, racers - 1}}));
      const std::string first =
          "If-Match: " + reader.ask(request("GET", "")).field("etag") + "\r\n";
      const statuses swapped = race(
          server, [&](std::size_t i) { return request("PUT", first, value_of(i) + "second"); });
      EXPECT_EQ(swapped, (statuses{{204, 1}, {412, racers - 1}}));
      const std::string second =
          "If-Match: " + reader.ask(request("GET", "")).field("etag") + "\r\n";
      const statuses erased = race(server, [&](std::size_t) { return request("DELETE", second); });
      EXPECT_EQ(erased, (statuses{{204, 1}, {404, racers - 1}}));
    }
  }
}

// The client waits for 100 Continue with the body: what a condition already refuses gets none.
TEST(kv_expectation, gets_100_continue_only_where_no_condition_refuses_yet) {
  const std::string expect = "Expect: 100-continue\r\n";
  for (const condition& row : conditions) {
    for (const key_state state : {key_state::deleted, key_state::large}) {
      SCOPED_TRACE(row.name);
      test_server server;
      raw_client client = server.connect();
      std::string tag = "\"ffffffffffffffff\"";
      if (is_present(state))
        tag = client.ask(request("PUT", "", std::string(10'000, 'l'))).field("etag");
      client.send("PUT /kv/k HTTP/1.1\r\nHost: a\r\n" + with_tag(row.fields, tag) +
                  "Content-Length: 3\r\n" + expect + "\r\n");
      const unsigned expected = is_present(state) ? row.present.put : row.absent.put;
      const http_reply first = client.read_reply();
      if (expected >= 400) {
        EXPECT_EQ(first.status, expected);
        EXPECT_TRUE(client.ends());
      } else {
        EXPECT_EQ(first.status, 100U);
        EXPECT_EQ(client.ask("new").status, expected);
      }
    }
  }
}

} // namespace
} // namespace kvcache::test
