// A parser that has seen a request before must say the same of the next one as a fresh parser does.
#include "http/head_memo.hpp"

#include "http/parsing.hpp"
#include "http/target.hpp"

#include <array>
#include <cctype>
#include <span>
#include <string>
#include <vector>

namespace kvcache::http::testing {
namespace {

const http_limits defaults;

// What a parser that has just read all of `before` makes of `text`.
parsed parse_after_all(std::span<const std::string> before, std::string_view text,
                       const http_limits& limits = defaults) {
  request_parser parser(limits);
  for (const std::string& one : before) {
    exact_copy input(one);
    EXPECT_EQ(parser.parse(input.bytes()).status, parse_status::complete) << one;
    parser.reset();
  }
  exact_copy input(text);
  const parse_result result = parser.parse(input.bytes());
  return describe(result, parser);
}

parsed parse_after(const std::string& before, std::string_view text,
                   const http_limits& limits = defaults) {
  return parse_after_all({&before, 1}, text, limits);
}

void expect_same_as_fresh(std::span<const std::string> before, std::string_view text) {
  const parsed again = parse_after_all(before, text);
  const parsed fresh = parse_at_once(text);
  EXPECT_EQ(again.status, fresh.status) << text;
  EXPECT_TRUE(again == fresh) << "after:\n" << before.back() << "\nthis:\n" << text;
}

void expect_same_as_fresh(const std::string& before, std::string_view text) {
  expect_same_as_fresh({&before, 1}, text);
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
      "GET /get?key=a HTTP/1.2\r\nHost: a\r\n\r\n",
      "GET /openapi.json HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
      "\r\nGET /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "PUT /put HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz",
      "POST /delete HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 12 \r\nX: y\r\n\r\nabcdefghijkl",
      "POST /put?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
      "GET /get?key=%61&x=+#y HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /get#?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /get? HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
      "GET /kv/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n",
      "GET /kv/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"b\"\r\n\r\n",
      "GET /kv/a HTTP/1.1\r\nHost: a\r\nIf-None-Match:\r\nIf-Match: \"a\"\r\nIf-Match: b\r\n\r\n",
      "PUT /kv/a?ttl=1 HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc",
      "PUT /kv/b HTTP/1.1\r\nHost: a\r\nContent-Type: a/c\r\nContent-Length: 3\r\n\r\nabc",
      "PUT /kv/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Range: x\r\n\r\nabc",
      "PUT /kv/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Type:\r\n\r\nabc",
      "DELETE /kv/a HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\n\r\n",
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

TEST(head_memo, enforces_the_limits_for_a_longer_target) {
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

TEST(head_memo, recognises_a_learnt_head_with_another_query_only) {
  std::string first = "GET /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n";
  const std::string second = "GET /get?key=bcd HTTP/1.1\r\nHost: cache\r\n\r\n";
  request_parser parser(defaults);
  ASSERT_EQ(parser.parse(first).status, parse_status::complete);
  head_memo memo;
  EXPECT_EQ(memo.recognise(first, defaults), 0U); // nothing learnt yet
  memo.learn(first, first.size(), parser.current());
  const std::string pipeline = second + first;
  ASSERT_EQ(memo.recognise(pipeline, defaults), second.size());
  EXPECT_EQ(memo.recognised().target, "/get?key=bcd");
  EXPECT_EQ(memo.recognised().host, "cache");
  EXPECT_EQ(memo.recognise("GET /get?key=a HTTP/1.1\r\nHost: other\r\n\r\n", defaults), 0U);
  EXPECT_EQ(memo.recognise("HEAD /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n", defaults), 0U);
  EXPECT_EQ(memo.recognise("GET /put?key=a HTTP/1.1\r\nHost: cache\r\n\r\n", defaults), 0U);
  EXPECT_EQ(memo.recognise(second.substr(0, second.size() - 1), defaults), 0U);
}

TEST(head_memo, guesses_the_key_of_a_request_that_begins_alike) {
  std::string first = "GET /get?key=a HTTP/1.1\r\nHost: cache\r\n\r\n";
  request_parser parser(defaults);
  ASSERT_EQ(parser.parse(first).status, parse_status::complete);
  head_memo memo;
  EXPECT_EQ(memo.guess_key(first), ""); // nothing learnt yet
  memo.learn(first, first.size(), parser.current());
  EXPECT_EQ(memo.guess_key("GET /get?key=bcd HTTP/1.1\r\nHost: other"), "bcd");
  EXPECT_EQ(memo.guess_key("GET /put?key=bcd HTTP/1.1\r\nHost: cache"), "");
  EXPECT_EQ(memo.guess_key("GET /get?key=b"), ""); // too little to tell
}

TEST(head_memo, recognises_another_length_of_the_body) {
  const auto with_body = [](std::size_t bytes) {
    return "POST /put HTTP/1.1\r\nHost: cache\r\nContent-Length: " + std::to_string(bytes) +
           "\r\nAccept: */*\r\n\r\n" + std::string(bytes, 'b');
  };
  request_parser parser(defaults);
  std::string first = with_body(9);
  ASSERT_EQ(parser.parse(first).status, parse_status::complete);
  head_memo memo;
  memo.learn(first, first.size() - 9, parser.current());
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{10}, defaults.body_bytes}) {
    const std::string next = with_body(bytes);
    ASSERT_EQ(memo.recognise(next, defaults), next.size());
    EXPECT_EQ(memo.recognised().body, std::string(bytes, 'b'));
    EXPECT_EQ(memo.recognise(std::string_view(next).substr(0, next.size() - 1), defaults), 0U);
  }
  EXPECT_EQ(memo.recognise(with_body(defaults.body_bytes + 1), defaults), 0U);
}

std::string get_with(std::string_view field, std::string_view key = "a") {
  return "GET /get?key=" + std::string(key) + " HTTP/1.1\r\nHost: cache\r\n" + std::string(field) +
         "\r\nAccept: */*\r\n\r\n";
}

std::string put_with(std::string_view first_field, std::string_view body,
                     std::string_view last_field) {
  return "POST /put HTTP/1.1\r\nHost: cache\r\n" + std::string(first_field) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n" + std::string(last_field) +
         "\r\n" + std::string(body);
}

// A memo that learns from requests which a new parser has read.
class learning {
public:
  // `fixed_path_bytes`: what the router notes with its decision.
  // Returns whether the memo has learnt the head.
  bool learn(std::string text, std::size_t fixed_path_bytes = 0) {
    request_parser parser(defaults);
    EXPECT_EQ(parser.parse(text).status, parse_status::complete) << text;
    const request& got = parser.current();
    grant* const noted = memo_.learn(text, text.size() - got.body.size(), got);
    if (noted != nullptr) noted->fixed_path_bytes = fixed_path_bytes;
    return noted != nullptr;
  }
  bool recognises(std::string_view text) { return memo_.recognise(text, defaults) == text.size(); }
  const request& recognised() const { return memo_.recognised(); }

private:
  head_memo memo_;
};

TEST(head_memo, recognises_any_value_of_the_field_in_which_two_heads_differ) {
  learning memo;
  memo.learn(get_with("traceparent: 00-1-01"));
  EXPECT_FALSE(memo.recognises(get_with("traceparent: 00-2-01")));
  memo.learn(get_with("traceparent: 00-2-01"));
  for (const std::string_view value : {"00-3-01", "", " spaces  within and around ", "\"~\"",
                                       "a-value-that-is-much-longer-than-the-one-before-it"}) {
    const std::string next = get_with("traceparent: " + std::string(value), "other");
    EXPECT_TRUE(memo.recognises(next)) << value;
    EXPECT_EQ(memo.recognised().query.text, "key=other");
    EXPECT_EQ(memo.recognised().host, "cache");
  }
  EXPECT_FALSE(memo.recognises(get_with("traceparenT: 00-3-01")));
  EXPECT_FALSE(memo.recognises(get_with("traceparent: 00-3-01\r\nX: y")));
  EXPECT_FALSE(memo.recognises(get_with("traceparent: 00\x7F")));
}

TEST(head_memo, recognises_a_value_and_a_length_that_vary_in_either_order) {
  for (const bool value_first : {true, false}) {
    const auto put = [value_first](std::string_view value, std::string_view body) {
      const std::string field = "X-Request-Id: " + std::string(value) + "\r\n";
      return value_first ? put_with(field, body, "") : put_with("", body, field);
    };
    learning memo;
    memo.learn(put("a", "123456789"));
    memo.learn(put("bcd", "1234567890"));
    for (const std::size_t bytes : {1U, 9U, 123U}) {
      const std::string next = put(std::string(bytes % 10, 'v'), std::string(bytes, 'b'));
      EXPECT_TRUE(memo.recognises(next));
      EXPECT_EQ(memo.recognised().body, std::string(bytes, 'b'));
    }
    memo.learn(put("efghijklmnop", "12")); // as when the body comes late
    EXPECT_TRUE(memo.recognises(put("another", "123")));
    memo.learn(put("efghijklmnop", "123"));
    EXPECT_TRUE(memo.recognises(put("one-more", "1234567890")));
  }
}

TEST(head_memo, keeps_the_grant_only_if_nothing_but_an_ignored_value_has_changed) {
  const auto granted_after = [](const std::string& first, const std::string& second) {
    learning memo;
    memo.learn(first);
    EXPECT_TRUE(memo.recognises(first));
    memo.recognised().granted->generation = 7;
    memo.learn(second);
    EXPECT_TRUE(memo.recognises(second));
    return memo.recognised().granted->generation == 7;
  };
  EXPECT_TRUE(granted_after(get_with("X: a"), get_with("X: b")));
  EXPECT_TRUE(granted_after(get_with("X: a"), get_with("X: a", "other")));
  EXPECT_FALSE(granted_after(get_with("X: a"), get_with("Y: a")));
  EXPECT_FALSE(granted_after(get_with("X: a"), get_with("X: b\r\nY: a")));
  EXPECT_FALSE(granted_after(get_with("Authorization: a"), get_with("Authorization: b")));
  EXPECT_FALSE(
      granted_after(put_with("X: a\r\n", "1", "Y: a\r\n"), put_with("X: b\r\n", "1", "Y: b\r\n")));
}

TEST(head_memo, treats_no_field_that_the_parser_acts_upon_as_varying) {
  const std::array<std::array<std::string_view, 3>, 10> fields{{
      {"Host: ", "cache", "cache:80"},
      {"Origin: ", "http://a", "http://b"},
      {"Sec-Fetch-Site: ", "none", "same-origin"},
      {"Authorization: ", "Bearer a", "Bearer b"},
      {"If-None-Match: ", "\"a\"", "\"b\""},
      {"Content-Length: ", "0", "00"},
      {"Connection: ", "keep-alive", "close"},
      {"Proxy-Connection: ", "keep-alive", "close"},
      {"Expect: ", "100-continue", "100-continue,"},
      {"Content-Encoding: ", "identity", "br"},
  }};
  for (const auto& [name, one, another] : fields) {
    const auto with = [name = name](std::string_view value) {
      const std::string line = std::string(name) + std::string(value) + "\r\n";
      return "POST /put HTTP/1.1\r\n" + std::string(name == "Host: " ? "" : "Host: a\r\n") + line +
             "\r\n";
    };
    learning memo;
    memo.learn(with(one));
    memo.learn(with(another));
    EXPECT_FALSE(memo.recognises(with("third"))) << name;
    const std::array before{with(one), with(another)};
    for (const std::string_view value : {"third", "", "1", ",;", "Bearer c", "close"})
      expect_same_as_fresh(before, with(value));
  }
}

// Learns two heads with other path variables, and a decision for all paths that begin with `fixed`.
void learn_path_variable(learning& memo, std::string_view method, std::string_view fixed) {
  const auto head = [&](std::string_view name) {
    return std::string(method) + " " + std::string(fixed) + std::string(name) +
           " HTTP/1.1\r\nHost: cache\r\n\r\n";
  };
  memo.learn(head("first-name"), fixed.size());
  memo.learn(head("second"), fixed.size());
}

TEST(head_memo, recognises_another_path_variable) {
  for (const std::string_view method : {"GET", "PUT", "DELETE"}) {
    learning memo;
    learn_path_variable(memo, method, "/kv/");
    const auto head = [method](std::string_view target, std::string_view host = "cache") {
      return std::string(method) + " " + std::string(target) +
             " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
    };
    for (const std::string_view name :
         {"", "a", "a/b/c", "a-name-that-is-longer-than-both-before"}) {
      const std::string text = head("/kv/" + std::string(name));
      EXPECT_TRUE(memo.recognises(text)) << name;
      EXPECT_EQ(memo.recognised().path, "/kv/" + std::string(name));
      EXPECT_TRUE(memo.recognised().path_is_plain);
      EXPECT_EQ(memo.recognised().query.text, "");
    }
    for (const std::string_view name : {"%41", "a+b", "\xc3\xa4", "a?ttl=5", "?", "a#b?c"}) {
      const std::string target = "/kv/" + std::string(name);
      const std::string text = head(target);
      EXPECT_TRUE(memo.recognises(text)) << name;
      const target_parts parts = split_target(target);
      EXPECT_EQ(memo.recognised().path, parts.path);
      EXPECT_EQ(memo.recognised().query.text, parts.query);
      EXPECT_FALSE(memo.recognised().path_is_plain);
    }
    EXPECT_FALSE(memo.recognises(head("/kw/a")));
    EXPECT_FALSE(memo.recognises(head("/kv")));
    EXPECT_FALSE(memo.recognises(head("/kv/a", "other")));
    EXPECT_FALSE(memo.recognises("X" + head("/kv/a")));
  }
}

TEST(head_memo, recognises_a_path_variable_a_length_and_a_value_that_vary_together) {
  const auto put = [](std::string_view name, std::string_view value, std::size_t bytes) {
    return "PUT /kv/" + std::string(name) + " HTTP/1.1\r\nHost: cache\r\nX: " + std::string(value) +
           "\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'b');
  };
  learning memo;
  memo.learn(put("a-long-name", "1", 3), 4);
  memo.learn(put("b", "2", 3), 4);
  memo.learn(put("c", "3", 3), 4);
  for (const std::size_t bytes : {0U, 7U, 4096U}) {
    EXPECT_TRUE(memo.recognises(put("another/name", "other", bytes)));
    EXPECT_EQ(memo.recognised().body.size(), bytes);
  }
}

TEST(head_memo, recognises_no_other_path_without_a_decision_that_holds_for_it) {
  learning memo;
  memo.learn("GET /kv/first HTTP/1.1\r\nHost: cache\r\n\r\n");
  memo.learn("GET /kv/other HTTP/1.1\r\nHost: cache\r\n\r\n");
  EXPECT_FALSE(memo.recognises("GET /kv/third HTTP/1.1\r\nHost: cache\r\n\r\n"));
}

TEST(head_memo, learns_one_in_eight_heads_of_a_client_that_repeats_none) {
  learning memo;
  const auto head = [](int i) { return get_with("X-" + std::to_string(i) + ": a"); };
  const auto learnt_of = [&](int first, int last) {
    int learnt = 0;
    for (int i = first; i < last; ++i) learnt += memo.learn(head(i)) ? 1 : 0;
    return learnt;
  };
  EXPECT_EQ(learnt_of(0, 8), 8);
  EXPECT_EQ(learnt_of(8, 88), 10);
  for (int i = 0; i < 8; ++i) memo.learn(head(1));
  EXPECT_TRUE(memo.recognises(head(1))); // it repeats one now
}

TEST(head_memo, changes_nothing_for_any_byte_in_a_value_that_varies) {
  const std::array before{get_with("traceparent: 00-1-01"), get_with("traceparent: 00-2-01")};
  for (int byte = 0; byte <= 0xFF; ++byte) {
    for (std::size_t at = 0; at < 18; ++at) {
      std::string value(17, 'v');
      value.insert(at, 1, static_cast<char>(byte));
      expect_same_as_fresh(before, get_with("traceparent:" + value));
    }
  }
  for (const std::string_view value : {"a\r\n b", "\r\n b", "a\r\nHost: b", "a\r\n\r\nb", "a\nb"})
    expect_same_as_fresh(before, get_with("traceparent: " + std::string(value)));
  for (std::size_t bytes = 0; bytes < before[0].size(); ++bytes)
    expect_same_as_fresh(before, std::string_view(before[0]).substr(0, bytes));
}

TEST(head_memo, enforces_the_limits_for_a_longer_value) {
  const std::array before{get_with("X: a"), get_with("X: b")};
  http_limits tight;
  tight.head_bytes = before[0].size() + 10;
  EXPECT_EQ(parse_after_all(before, get_with("X: a0123456789"), tight).status,
            parse_status::complete);
  EXPECT_EQ(parse_after_all(before, get_with("X: a0123456789x"), tight).why, fault::head_too_large);
}

TEST(head_memo, calls_a_query_plain_only_if_it_needs_no_escape_in_a_query_or_in_json) {
  request_parser parser(defaults);
  const auto asked = [](std::string_view query) {
    return "GET /get?" + std::string(query) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  std::string first = asked("key=a");
  ASSERT_EQ(parser.parse(first).status, parse_status::complete);
  parser.reset();
  for (int byte = 0x21; byte <= 0xFF; ++byte) {
    if (byte == 0x7F) continue; // no target has it
    for (const std::size_t at : {0U, 3U, 7U, 8U, 15U}) {
      std::string key(16, 'k');
      key[at] = static_cast<char>(byte);
      std::string next = asked("key=" + key);
      ASSERT_EQ(parser.parse(next).status, parse_status::complete) << byte;
      const maybe_plain query = parser.current().query;
      EXPECT_EQ(query.text, "key=" + (byte == '#' ? key.substr(0, at) : key)) << byte;
      const auto is_one_of = [&](std::string_view bytes) {
        return bytes.find(static_cast<char>(byte)) != std::string_view::npos;
      };
      if (is_one_of("&%+#\"\\") || byte >= 0x80) {
        EXPECT_FALSE(query.is_plain) << byte;
      }
      if (std::isalnum(byte) != 0 || is_one_of("-._~:/")) {
        EXPECT_TRUE(query.is_plain) << byte;
      }
      parser.reset();
    }
  }
}

} // namespace
} // namespace kvcache::http::testing
