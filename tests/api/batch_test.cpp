// POST /batch. What a body may hold is in batch_body_test.cpp.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/token_authorizer.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

std::string in_ops(std::string_view operations) {
  return R"({"ops":[)" + std::string{operations} + "]}";
}

class batch : public testing::Test {
protected:
  http_reply send(std::string_view operations, std::string_view fields = "") {
    return client_.ask(post_request("/batch", in_ops(operations), fields));
  }
  // The results, which must be there.
  json results(std::string_view operations) {
    const http_reply reply = send(operations);
    EXPECT_EQ(reply.status, 200U) << reply.body;
    const json body = json::parse(reply.body);
    EXPECT_EQ(body["status"], "OK");
    return body["results"];
  }
  json result(std::string_view operation) { return results(operation).at(0); }
  std::string raw_result(std::string_view operation) {
    const std::string body = send(operation).body;
    constexpr std::string_view start = R"({"status":"OK","results":[)";
    EXPECT_TRUE(body.starts_with(start)) << body;
    return body.substr(start.size(), body.size() - start.size() - 2);
  }
  http_reply get(std::string_view path) { return client_.ask(get_request(path)); }
  http_reply put(std::string_view path, std::string_view body, std::string_view fields = "") {
    return client_.ask("PUT " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n" +
                       std::string{fields} + "Content-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + std::string{body});
  }

  test_server server_;
  raw_client client_ = server_.connect();
};

// `{"code":200,` and then what the single request answers.
std::string with_code(const http_reply& single) {
  return "{\"code\":" + std::to_string(single.status) + "," + single.body.substr(1);
}

TEST_F(batch, answers_each_operation_as_the_single_request_does) {
  client_.ask(post_request("/put", R"({"key":"a","value":"1\n\"2\""})"));
  EXPECT_EQ(raw_result(R"({"op":"get","key":"a"})"), with_code(get("/get?key=a")));
  EXPECT_EQ(raw_result(R"({"op":"get","key":"b"})"), with_code(get("/get?key=b")));
  const auto put_reply = client_.ask(post_request("/put", R"({"key":"c","value":"v"})"));
  EXPECT_EQ(raw_result(R"({"op":"put","key":"c","value":"v"})"), with_code(put_reply));
  EXPECT_EQ(raw_result(R"({"op":"put","key":"new","value":"v"})"), with_code(put_reply));
  EXPECT_EQ(raw_result(R"({"op":"delete","key":"c"})"),
            with_code(client_.ask(post_request("/delete", R"({"key":"new"})"))));
  EXPECT_EQ(raw_result(R"({"op":"delete","key":"c"})"),
            with_code(client_.ask(post_request("/delete", R"({"key":"new"})"))));
  const std::string counted = raw_result(R"({"op":"incr","key":"n","initial":7})");
  client_.ask(post_request("/delete", R"({"key":"n"})"));
  EXPECT_EQ(counted, with_code(client_.ask(post_request("/kv/n?op=incr&initial=7", ""))));
  EXPECT_EQ(raw_result(R"({"op":"touch","key":"n"})"),
            with_code(client_.ask(post_request("/kv/n?op=touch", ""))));
  EXPECT_EQ(raw_result(R"({"op":"incr","key":"a"})"),
            with_code(client_.ask(post_request("/kv/a?op=incr", ""))));
  EXPECT_EQ(raw_result(R"({"op":"incr","key":"gone"})"),
            with_code(client_.ask(post_request("/kv/gone?op=incr", ""))));
}

TEST_F(batch, runs_the_operations_in_order) {
  const json all =
      results(R"({"op":"get","key":"a"},{"op":"put","key":"a","value":"1"},{"op":"get","key":"a"},)"
              R"({"op":"incr","key":"a","by":41},{"op":"get","key":"a"},{"op":"delete","key":"a"},)"
              R"({"op":"get","key":"a"})");
  ASSERT_EQ(all.size(), 7U);
  EXPECT_EQ(all[0]["code"], 404);
  EXPECT_EQ(all[2]["value"], "1");
  EXPECT_EQ(all[3]["value"], "42");
  EXPECT_EQ(all[4]["value"], "42");
  EXPECT_EQ(all[6]["code"], 404);
}

TEST_F(batch, of_no_operations_has_no_results) {
  EXPECT_EQ(send("").body, R"({"status":"OK","results":[]})");
}

TEST_F(batch, stores_only_if_the_entry_is_as_asked) {
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"1","if":"present"})")["code"], 412);
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"1","if_value":""})")["code"], 412);
  EXPECT_EQ(result(R"({"op":"delete","key":"k","if_value":"1"})")["code"], 404);
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"1","if":"absent"})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"2","if":"absent"})")["code"], 412);
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"2","if_value":"x"})")["code"], 412);
  EXPECT_EQ(result(R"({"op":"get","key":"k"})")["value"], "1");
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"2","if":"present"})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"3","if_value":"2"})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"delete","key":"k","if_value":"2"})")["code"], 412);
  EXPECT_EQ(result(R"({"op":"delete","key":"k","if_value":"3"})")["code"], 200);
  EXPECT_EQ(get("/get?key=k").status, 404U);
}

// Whatever the value's type is, and how long it is.
TEST_F(batch, compares_the_value_alone) {
  put("/kv/k", "v", "Content-Type: image/png\r\n");
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"w","if_value":"v"})")["code"], 200);
  put("/kv/k", "w");
  EXPECT_EQ(result(R"({"op":"delete","key":"k","if_value":"w"})")["code"], 200);
}

TEST_F(batch, stores_and_shows_bytes_as_base64) {
  EXPECT_EQ(result(R"({"op":"put","key":"k","value_base64":"AP8B"})")["code"], 200);
  EXPECT_EQ(raw_result(R"({"op":"get","key":"k"})"),
            R"({"code":200,"status":"OK","key":"k","value_base64":"AP8B"})");
  const http_reply shown = get("/kv/k");
  EXPECT_TRUE(shown.body == (std::string{"\0\xFF\1", 3}));
  EXPECT_EQ(shown.field("content-type"), "application/octet-stream");
  EXPECT_EQ(result(R"({"op":"put","key":"k","value_base64":"dGV4dA=="})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"get","key":"k"})")["value"], "text");
  EXPECT_EQ(result(R"({"op":"put","key":"k","value_base64":""})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"get","key":"k"})")["value"], "");
}

TEST_F(batch, shows_the_seconds_an_entry_has_left) {
  EXPECT_EQ(result(R"({"op":"put","key":"k","value":"v","ttl":3})")["code"], 200);
  EXPECT_EQ(raw_result(R"({"op":"get","key":"k"})"),
            R"({"code":200,"status":"OK","key":"k","value":"v","ttl_left":3})");
  server_.pass(1'200ms);
  EXPECT_EQ(result(R"({"op":"get","key":"k"})")["ttl_left"], 2);
  EXPECT_EQ(result(R"({"op":"touch","key":"k","ttl":60})")["code"], 200);
  EXPECT_EQ(result(R"({"op":"get","key":"k"})")["ttl_left"], 60);
  EXPECT_EQ(result(R"({"op":"touch","key":"k"})")["code"], 200);
  EXPECT_FALSE(result(R"({"op":"get","key":"k"})").contains("ttl_left"));
  EXPECT_EQ(result(R"({"op":"touch","key":"gone","ttl":60})")["code"], 404);
}

TEST_F(batch, shows_long_values_whole) {
  const std::string text(300'000, 'x');
  put("/kv/text", text);
  std::string bytes(100'000, '\xFF');
  put("/kv/bytes", bytes);
  const json all = results(R"({"op":"get","key":"text"},{"op":"get","key":"bytes"})");
  EXPECT_TRUE(all[0]["value"] == text);
  EXPECT_EQ(all[1]["value_base64"].get<std::string>().size(), (bytes.size() + 2) / 3 * 4);
}

TEST_F(batch, does_nothing_if_any_operation_is_malformed) {
  const http_reply refused =
      send(R"({"op":"put","key":"a","value":"v"},{"op":"put","key":"b","value":"v","ttl":0})");
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(json::parse(refused.body)["message"].get<std::string>().find("ops[1].ttl: "), 0U)
      << refused.body;
  EXPECT_EQ(get("/get?key=a").status, 404U);
  EXPECT_EQ(server_.store().size(), 0U);
}

TEST_F(batch, goes_on_behind_an_operation_that_fails) {
  const json all = results(R"({"op":"delete","key":"gone"},{"op":"put","key":"a","value":"x"},)"
                           R"({"op":"incr","key":"a"},{"op":"get","key":"a"})");
  EXPECT_EQ(all[0]["code"], 404);
  EXPECT_EQ(all[2]["code"], 409);
  EXPECT_EQ(all[3]["value"], "x");
}

// Room for the entry is looked for by the put alone.
TEST(batch_without_room, gives_503_to_the_put_and_goes_on) {
  test_server server;
  raw_client client = server.connect();
  const auto send = [&](std::string_view operations) {
    return json::parse(client.ask(post_request("/batch", in_ops(operations))).body)["results"];
  };
  EXPECT_EQ(send(R"({"op":"put","key":"a","value":"old"})")[0]["code"], 200);
  server.store().set_hold_limit_bytes(1);
  const std::string bytes(40'000, 'A');
  const json all =
      send(R"({"op":"put","key":"a","value_base64":")" + bytes + R"("},{"op":"get","key":"a"})");
  EXPECT_EQ(all[0]["code"], 503);
  EXPECT_EQ(all[1]["value"], "old");
}

TEST(batch_limits, refuse_too_many_operations_and_too_long_a_body) {
  http::server_options options;
  options.limits.max_batch_ops = 3;
  options.limits.max_batch_bytes = 2048;
  test_server server{options};
  const auto ask = [&](std::string_view operations) {
    return server.connect().ask(post_request("/batch", in_ops(operations)));
  };
  const std::string get = R"({"op":"get","key":"a"})";
  EXPECT_EQ(ask(get + "," + get + "," + get).status, 200U);
  const http_reply many = ask(get + "," + get + "," + get + "," + get);
  EXPECT_EQ(many.status, 413U);
  EXPECT_NE(many.body.find("3 operations"), std::string::npos) << many.body;
  const http_reply longer = ask(get + std::string(2048, ' '));
  EXPECT_EQ(longer.status, 413U);
  EXPECT_NE(longer.body.find("2048 bytes"), std::string::npos) << longer.body;
  EXPECT_EQ(server.responses("batch", 413), 2U);
}

TEST(batch_limits, are_those_of_batches_alone) {
  http::server_options options;
  options.limits.max_batch_bytes = 100'000;
  test_server server{options};
  const std::string spaces(50'000, ' ');
  const auto ask = [&](std::string_view path, const std::string& body) {
    return server.connect().ask(post_request(path, body)).status;
  };
  EXPECT_EQ(ask("/batch", in_ops(spaces)), 200U);
  EXPECT_EQ(ask("/batch?x=1", in_ops(spaces)), 200U);
  EXPECT_EQ(ask("/put", in_ops(spaces)), 413U);
  EXPECT_EQ(ask("/batches", in_ops(spaces)), 413U);
}

TEST(batch_limits, let_a_chunked_body_be_as_long) {
  http::server_options options;
  options.limits.max_batch_bytes = 100'000;
  test_server server{options};
  const auto ask = [&](std::size_t bytes) {
    std::string text = "POST /batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    std::string body = in_ops("");
    body.append(bytes - body.size(), ' ');
    for (std::size_t at = 0; at < body.size(); at += 4096) {
      const std::string piece = body.substr(at, 4096);
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      text.append(size).append(piece).append("\r\n");
    }
    return server.connect().ask(text + "0\r\n\r\n").status;
  };
  EXPECT_EQ(ask(100'000), 200U);
  EXPECT_EQ(ask(100'001), 413U);
}

// The least that may be set.
class batch_response : public testing::Test {
protected:
  static http::server_options smallest() {
    http::server_options options;
    options.limits.max_batch_reply_bytes = most_bytes;
    options.limits.max_batch_ops = 10'000;
    options.limits.max_batch_bytes = std::size_t{4} << 20;
    return options;
  }
  http_reply send(std::string_view operation, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all.append(i == 0 ? "" : ",").append(operation);
    return client_.ask(post_request("/batch", in_ops(all)));
  }
  static constexpr std::size_t most_bytes = std::size_t{64} << 10;
  test_server server_{smallest()};
  raw_client client_ = server_.connect();
};

TEST_F(batch_response, is_refused_before_anything_is_done_if_the_results_might_not_fit) {
  const http_reply refused = send(R"({"op":"put","key":"a","value":"v"})", 2000);
  EXPECT_EQ(refused.status, 503U);
  EXPECT_EQ(server_.store().size(), 0U);
  EXPECT_EQ(send(R"({"op":"put","key":"a","value":"v"})", 500).status, 200U);
}

TEST_F(batch_response, never_passes_its_limit_and_refuses_the_gets_that_do_not_fit) {
  const std::string value(256, 'x');
  client_.ask(post_request("/put", R"({"key":"a","value":")" + value + "\"}"));
  const http_reply reply = send(R"({"op":"get","key":"a"})", 400);
  ASSERT_EQ(reply.status, 200U) << reply.body;
  EXPECT_LE(reply.body.size(), most_bytes);
  std::size_t shown = 0;
  std::size_t refused = 0;
  const json all = json::parse(reply.body)["results"];
  for (const json& each : all) {
    shown += each["code"] == 200 ? 1 : 0;
    refused += each["code"] == 503 ? 1 : 0;
    EXPECT_TRUE(each["code"] == 503 || each["value"] == value);
  }
  EXPECT_EQ(shown + refused, 400U);
  EXPECT_GT(shown, 50U);
  EXPECT_GT(refused, 50U);
}

TEST_F(batch_response, has_room_for_every_write_behind_a_get_that_does_not_fit) {
  client_.ask("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" +
              std::string(70'000, 'x'));
  const http_reply reply = client_.ask(post_request(
      "/batch", in_ops(R"({"op":"get","key":"a"},{"op":"put","key":"b","value":"v"})")));
  const json all = json::parse(reply.body)["results"];
  EXPECT_EQ(all[0]["code"], 503);
  EXPECT_EQ(all[1]["code"], 200);
}

TEST(batch_tokens, need_one_that_may_write_for_anything_but_get) {
  const http::token_authorizer tokens{
      {{"r", http::permission::read}, {"w", http::permission::write}}};
  http::server_services services;
  services.authorization = &tokens;
  test_server server{{}, services};
  const auto ask = [&](std::string_view token, std::string_view operations) {
    const std::string fields = "Authorization: Bearer " + std::string{token} + "\r\n";
    return server.connect().ask(post_request("/batch", in_ops(operations), fields)).status;
  };
  const std::string get = R"({"op":"get","key":"a"})";
  EXPECT_EQ(ask("r", get), 200U);
  EXPECT_EQ(ask("x", get), 401U);
  for (const std::string_view write :
       {R"({"op":"put","key":"a","value":"v"})", R"({"op":"delete","key":"a"})",
        R"({"op":"incr","key":"a"})", R"({"op":"touch","key":"a"})"}) {
    EXPECT_EQ(ask("r", get + "," + std::string{write}), 403U) << write;
    EXPECT_EQ(ask("w", get + "," + std::string{write}), 200U) << write;
  }
}

TEST_F(batch, serves_no_page_of_another_origin) {
  EXPECT_EQ(send(R"({"op":"get","key":"a"})", "Sec-Fetch-Site: cross-site\r\n").status, 403U);
  EXPECT_EQ(send(R"({"op":"get","key":"a"})", "Sec-Fetch-Site: same-origin\r\n").status, 200U);
}

TEST_F(batch, takes_post_alone_and_needs_a_body) {
  const http_reply refused = get("/batch");
  EXPECT_EQ(refused.status, 405U);
  EXPECT_EQ(refused.field("allow"), "POST, OPTIONS");
  EXPECT_EQ(client_.ask("POST /batch HTTP/1.1\r\nHost: a\r\n\r\n").status, 411U);
  EXPECT_EQ(send("", "Content-Encoding: gzip\r\n").status, 415U);
}

TEST_F(batch, counts_each_operation_by_its_code) {
  results(
      R"({"op":"get","key":"a"},{"op":"put","key":"a","value":"v"},{"op":"get","key":"a"},)"
      R"({"op":"put","key":"a","value":"w"},{"op":"delete","key":"b"},{"op":"incr","key":"a"})");
  const observe::counters_snapshot counted = server_.counted();
  EXPECT_EQ(server_.responses("batch", 200), 1U);
  EXPECT_EQ(counted.of_batches(0, 404), 1U);
  EXPECT_EQ(counted.of_batches(0, 200), 1U);
  EXPECT_EQ(counted.of_batches(1, 200), 2U);
  EXPECT_EQ(counted.of_batches(2, 404), 1U);
  EXPECT_EQ(counted.of_batches(3, 409), 1U);
  EXPECT_EQ(counted.hits(), 1U);
  EXPECT_EQ(counted.misses(), 1U);
  EXPECT_EQ(counted.puts(), 2U);
  EXPECT_EQ(counted.deletes_not_found(), 1U);
  EXPECT_EQ(counted.refused(observe::status_slot(404)), 0U);
}

// ---- in turns -----------------------------------------------------------------------------

std::string many_increments(std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i)
    all.append(i == 0 ? "" : ",").append(R"({"op":"incr","key":"n","initial":0})");
  return all;
}

TEST_F(batch, of_many_operations_keeps_its_place_among_pipelined_requests) {
  const std::string pipeline =
      get_request("/healthz") + post_request("/batch", in_ops(many_increments(1000))) +
      get_request("/get?key=n") + post_request("/batch", in_ops(many_increments(500))) +
      get_request("/get?key=n");
  client_.send(pipeline);
  EXPECT_EQ(client_.read_reply().status, 200U);
  const json first = json::parse(client_.read_reply().body)["results"];
  ASSERT_EQ(first.size(), 1000U);
  for (std::size_t i = 0; i < first.size(); ++i)
    ASSERT_EQ(first[i]["value"], std::to_string(i + 1));
  EXPECT_EQ(json::parse(client_.read_reply().body)["value"], "1000");
  EXPECT_EQ(json::parse(client_.read_reply().body)["results"].size(), 500U);
  EXPECT_EQ(json::parse(client_.read_reply().body)["value"], "1500");
}

TEST(batches, of_many_clients_lose_no_increment) {
  http::server_options options;
  options.threads = 2;
  test_server server{options};
  constexpr std::size_t clients = 8;
  constexpr std::size_t batches = 20;
  constexpr std::size_t operations = 400;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      raw_client client = server.connect();
      const std::string text = post_request("/batch", in_ops(many_increments(operations)));
      for (std::size_t k = 0; k < batches; ++k) client.send(text);
      for (std::size_t k = 0; k < batches; ++k) EXPECT_EQ(client.read_reply().status, 200U);
    });
  }
  for (std::thread& t : threads) t.join();
  const http_reply sum = server.connect().ask(get_request("/get?key=n"));
  EXPECT_EQ(json::parse(sum.body)["value"], std::to_string(clients * batches * operations));
}

TEST(batches, in_progress_when_their_client_leaves_are_dropped_without_harm) {
  test_server server;
  for (int i = 0; i < 50; ++i) {
    raw_client client = server.connect();
    client.send(post_request("/batch", in_ops(many_increments(1000))));
    client.reset();
  }
  EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U);
}

} // namespace
} // namespace kvcache::test
