// Counters and new expiries: POST /kv/{key}?op=…
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/counter.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;

std::string post(std::string_view target, std::string_view fields = "") {
  return "POST " + std::string{target} + " HTTP/1.1\r\nHost: a\r\n" + std::string{fields} + "\r\n";
}

class kv_post : public testing::Test {
protected:
  http_reply ask(std::string_view text) { return client_.ask(text); }
  http_reply get(std::string_view path) { return client_.ask(get_request(path)); }
  http_reply put(std::string_view path, std::string_view body, std::string_view fields = "") {
    return ask("PUT " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n" + std::string{fields} +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body});
  }

  test_server server_;
  raw_client client_ = server_.connect();
};

std::string shown(std::string_view key, std::string_view value) {
  return R"({"status":"OK","key":")" + std::string{key} + R"(","value":")" + std::string{value} +
         "\"}";
}

TEST_F(kv_post, adds_to_a_counter_and_shows_it_with_its_tag) {
  const http_reply first = ask(post("/kv/n?op=incr&initial=5&by=2"));
  EXPECT_EQ(first.status, 200U);
  EXPECT_EQ(first.body, shown("n", "7"));
  EXPECT_EQ(first.field("content-type"), "application/json");
  EXPECT_EQ(first.field("etag"), get("/kv/n").field("etag"));
  EXPECT_EQ(ask(post("/kv/n?op=incr")).body, shown("n", "8"));
  EXPECT_EQ(ask(post("/kv/n?by=-10&op=incr")).body, shown("n", "-2"));
  EXPECT_EQ(ask(post("/kv/n?op=incr&by=0&initial=99")).body, shown("n", "-2"));
  EXPECT_EQ(get("/kv/n").body, "-2");
  EXPECT_EQ(get("/get?key=n").body, shown("n", "-2"));
  EXPECT_EQ(ask(post("/kv/a%22b?op=incr&initial=0")).body, shown("a\\\"b", "1"));
}

TEST_F(kv_post, types_a_new_counter_as_put_does) {
  ask(post("/kv/n?op=incr&initial=0"));
  EXPECT_EQ(get("/kv/n").field("content-type"), "text/plain; charset=utf-8");
}

TEST_F(kv_post, keeps_the_type_and_the_expiry_of_a_counter_that_is_there) {
  for (const std::string_view type :
       {"", "Content-Type: application/json\r\n", "Content-Type: x/a-type-of-its-own\r\n"}) {
    put("/kv/n?ttl=60", "41", type);
    const std::string before = get("/kv/n").field("content-type");
    const http_reply added = ask(post("/kv/n?op=incr&ttl=5"));
    EXPECT_EQ(added.body, shown("n", "42"));
    const http_reply after = get("/kv/n");
    EXPECT_EQ(after.field("content-type"), before);
    EXPECT_EQ(after.field("kv-ttl"), "60");
    EXPECT_EQ(after.field("etag"), added.field("etag"));
  }
}

TEST_F(kv_post, gives_a_new_counter_the_ttl_asked_for) {
  ask(post("/kv/n?op=incr&initial=0&ttl=5"));
  EXPECT_EQ(get("/kv/n").field("kv-ttl"), "5");
  ask(post("/kv/m?op=incr&initial=0"));
  EXPECT_FALSE(get("/kv/m").has("kv-ttl"));
}

TEST(kv_post_default_ttl, applies_to_new_counters_and_touches_without_a_ttl) {
  http::server_options options;
  options.default_ttl_s = 60;
  test_server server{options};
  raw_client client = server.connect();
  const auto left = [&] { return client.ask(get_request("/kv/n")).field("kv-ttl"); };
  client.ask(post("/kv/n?op=incr&initial=0"));
  EXPECT_EQ(left(), "60");
  client.ask(post("/kv/n?op=touch&ttl=5"));
  EXPECT_EQ(left(), "5");
  client.ask(post("/kv/n?op=touch"));
  EXPECT_EQ(left(), "60");
}

TEST_F(kv_post, does_not_count_what_is_no_number) {
  for (const std::string_view value : {"", "-", "x", "01", "-0", "+1", " 1", "1 ", "1.0", "1e3",
                                       "9223372036854775808", "-9223372036854775809", "0x1"}) {
    put("/kv/n", value);
    EXPECT_EQ(ask(post("/kv/n?op=incr")).status, 409U) << value;
    EXPECT_EQ(get("/kv/n").body, value);
  }
}

TEST_F(kv_post, changes_nothing_if_the_sum_would_not_fit) {
  put("/kv/n", "9223372036854775806");
  EXPECT_EQ(ask(post("/kv/n?op=incr")).body, shown("n", "9223372036854775807"));
  EXPECT_EQ(ask(post("/kv/n?op=incr")).status, 409U);
  EXPECT_EQ(get("/kv/n").body, "9223372036854775807");
  EXPECT_EQ(ask(post("/kv/n?op=incr&by=-9223372036854775808")).body, shown("n", "-1"));
  EXPECT_EQ(ask(post("/kv/n?op=incr&by=-9223372036854775808")).status, 409U);
  EXPECT_EQ(ask(post("/kv/m?op=incr&by=1&initial=9223372036854775807")).status, 409U);
  EXPECT_EQ(get("/kv/m").status, 404U);
}

TEST_F(kv_post, misses_without_an_initial_value) {
  EXPECT_EQ(ask(post("/kv/n?op=incr")).status, 404U);
  EXPECT_EQ(ask(post("/kv/n?op=touch&ttl=5")).status, 404U);
  EXPECT_EQ(server_.store().size(), 0U);
}

TEST_F(kv_post, changes_the_expiry_alone) {
  for (const std::size_t bytes : {0U, 5U, 5000U, 100'000U}) {
    const std::string value(bytes, 'x');
    put("/kv/k", value, "Content-Type: a/b\r\n");
    const http_reply touched = ask(post("/kv/k?op=touch&ttl=60"));
    EXPECT_EQ(touched.status, 200U);
    EXPECT_EQ(touched.body, R"({"status":"OK","message":"Expiry changed."})");
    const http_reply got = get("/kv/k");
    EXPECT_TRUE(got.body == value);
    EXPECT_EQ(got.field("content-type"), "a/b");
    EXPECT_EQ(got.field("kv-ttl"), "60");
    EXPECT_EQ(ask(post("/kv/k?op=touch")).status, 200U);
    EXPECT_FALSE(get("/kv/k").has("kv-ttl"));
  }
}

TEST_F(kv_post, obeys_conditions) {
  const std::string tag = put("/kv/n", "1").field("etag");
  const auto status = [&](std::string_view target, const std::string& condition) {
    return ask(post(target, condition + "\r\n")).status;
  };
  for (const std::string_view target : {"/kv/n?op=incr", "/kv/n?op=touch&ttl=60"}) {
    EXPECT_EQ(status(target, "If-Match: \"other\""), 412U) << target;
    EXPECT_EQ(status(target, "If-None-Match: *"), 412U);
    EXPECT_EQ(status(target, "If-None-Match: " + tag), 412U);
    EXPECT_EQ(status(target, "If-Match: other"), 400U);
  }
  EXPECT_EQ(get("/kv/n").body, "1");
  EXPECT_FALSE(get("/kv/n").has("kv-ttl"));
  EXPECT_EQ(status("/kv/n?op=touch&ttl=60", "If-Match: " + tag), 200U);
  EXPECT_EQ(status("/kv/n?op=incr", "If-Match: " + tag), 200U);
  EXPECT_EQ(status("/kv/n?op=incr", "If-Match: " + tag), 412U); // it is another one now
  EXPECT_EQ(status("/kv/m?op=incr&initial=0", "If-Match: *"), 412U);
  EXPECT_EQ(status("/kv/m?op=incr&initial=0", "If-None-Match: *"), 200U);
  EXPECT_EQ(status("/kv/m?op=incr&initial=0", "If-None-Match: *"), 412U);
  // Not evaluated where the plain answer is an error (RFC 9110 §13.2.1).
  EXPECT_EQ(status("/kv/absent?op=incr", "If-Match: *"), 404U);
  EXPECT_EQ(status("/kv/absent?op=touch", "If-Match: *"), 404U);
  put("/kv/text", "x");
  EXPECT_EQ(status("/kv/text?op=incr", "If-Match: \"other\""), 409U);
}

TEST_F(kv_post, takes_its_parameters_and_no_others) {
  put("/kv/n", "1");
  const auto refused = [&](std::string_view query) {
    const http_reply reply = ask(post("/kv/n" + std::string{query}));
    EXPECT_EQ(reply.status, 400U) << query;
    return reply.body;
  };
  for (const std::string_view query :
       {"", "?", "?op", "?op=", "?op=get", "?op=INCR", "?by=1", "?op=incr&op=incr",
        "?op=incr&by=1&by=1", "?op=incr&initial=1&initial=1", "?op=incr&ttl=1&ttl=1",
        "?op=incr&by=", "?op=incr&by=1.0", "?op=incr&by=%2B1", "?op=incr&by=9223372036854775808",
        "?op=incr&initial=x", "?op=incr&ttl=0", "?op=incr&by=%", "?op=incr&by"})
    refused(query);
  EXPECT_NE(refused("?op=incr&step=2").find("step"), std::string::npos);
  EXPECT_NE(refused("?op=touch&by=2").find("by"), std::string::npos);
  EXPECT_NE(refused("?op=touch&initial=2").find("initial"), std::string::npos);
  EXPECT_EQ(get("/kv/n").body, "1");
  EXPECT_EQ(get("/kv/n?op=incr").status, 400U);
  EXPECT_EQ(put("/kv/n?op=incr", "2").status, 400U);
}

TEST_F(kv_post, takes_no_body) {
  put("/kv/n", "1");
  EXPECT_EQ(ask(post("/kv/n?op=incr", "Content-Length: 0\r\n")).status, 200U);
  EXPECT_EQ(ask(post("/kv/n?op=incr", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n").status,
            200U);
  EXPECT_EQ(ask(post("/kv/n?op=incr", "Content-Length: 1\r\n") + "x").status, 400U);
  EXPECT_EQ(
      ask(post("/kv/n?op=incr", "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n").status,
      400U);
  EXPECT_EQ(get("/kv/n").body, "3");
}

TEST_F(kv_post, does_not_write_for_pages_of_other_origins) {
  put("/kv/n", "1");
  EXPECT_EQ(ask(post("/kv/n?op=incr", "Origin: http://b\r\n")).status, 403U);
  EXPECT_EQ(get("/kv/n").body, "1");
}

TEST(counter, is_a_number_in_its_shortest_spelling) {
  const std::pair<std::string_view, std::int64_t> numbers[] = {{"0", 0},
                                                               {"-1", -1},
                                                               {"10", 10},
                                                               {"9223372036854775807", INT64_MAX},
                                                               {"-9223372036854775808", INT64_MIN}};
  for (const auto& [text, number] : numbers) EXPECT_EQ(http::read_counter(text), number) << text;
  for (const std::string_view text : {"", "-", "-0", "00", "01", "-01", "+1", "1x", "--1",
                                      "18446744073709551616", "000000000000000000000"})
    EXPECT_EQ(http::read_counter(text), std::nullopt) << text;
}

TEST(counters, of_many_threads_add_up_while_others_touch_and_read_them) {
  cache store{cache_options{}};
  constexpr int times = 5000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < times; ++k) {
        const auto done =
            http::add_to_counter(store, "n", {.by = i % 2 == 0 ? 3 : -1, .initial = 0}, never,
                                 [](const entry_view*) { return true; });
        EXPECT_EQ(done.why, http::fault::none);
      }
    });
  }
  threads.emplace_back([&] {
    for (int k = 0; k < times; ++k)
      store.touch_if("n", k % 2 == 0 ? never : tick{1000}, [](const entry_view*) { return true; });
  });
  for (std::thread& t : threads) t.join();
  std::string sum;
  store.get("n", [&](std::string_view value) { sum = value; });
  EXPECT_EQ(sum, std::to_string(times * 2 * 3 - times * 2));
}

} // namespace
} // namespace kvcache::test
