#include "api/router.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "api/token_authorizer.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using http::permission;

std::string error_body(std::string_view message) {
  return R"({"status":"ERROR","message":")" + std::string{message} + R"("})";
}

TEST(router, answers_an_unknown_path_404) {
  test_server server;
  const http_reply reply = server.connect().ask(get_request("/nowhere"));
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.field("content-type"), "application/json");
  EXPECT_TRUE(reply.body.starts_with(R"({"status":"ERROR","message":")")) << reply.body;
}

TEST(router, answers_a_wrong_method_405_with_the_allowed_ones) {
  test_server server;
  raw_client client = server.connect();
  const http_reply on_get = client.ask(post_request("/get?key=a", "{}"));
  EXPECT_EQ(on_get.status, 405U);
  EXPECT_EQ(on_get.field("allow"), "GET, HEAD, OPTIONS");
  const http_reply on_put = client.ask(get_request("/put"));
  EXPECT_EQ(on_put.status, 405U);
  EXPECT_EQ(on_put.field("allow"), "POST, OPTIONS");
  EXPECT_EQ(client.ask("PATCH /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n").status, 405U);
}

TEST(router, answers_options_with_the_allowed_methods) {
  test_server server;
  raw_client client = server.connect();
  const http_reply one = client.ask("OPTIONS /put HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(one.status, 204U);
  EXPECT_TRUE(one.head.starts_with("HTTP/1.1 204 No Content\r\n")) << one.head;
  EXPECT_FALSE(one.has("content-length")); // RFC 9110 §8.6
  EXPECT_EQ(one.field("allow"), "POST, OPTIONS");
  const http_reply all = client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(all.status, 204U);
  EXPECT_FALSE(all.has("content-length"));
  EXPECT_EQ(all.field("allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  EXPECT_FALSE(all.has("access-control-allow-origin"));
}

TEST(router, refuses_by_the_head_instead_of_sending_100_continue) {
  const http::token_authorizer tokens{{{"r", permission::read}, {"w", permission::write}}};
  http::server_options options;
  options.allowed_hosts = {"a"};
  http::server_services services;
  services.authorization = &tokens;
  test_server server{options, services};
  const auto ask = [&](std::string_view first_lines) {
    return server.connect().ask(std::string{first_lines} +
                                "Content-Length: 23\r\nExpect: 100-continue\r\n\r\n");
  };
  const std::string to_put = "POST /put HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(ask("POST /nothing HTTP/1.1\r\nHost: a\r\n").status, 404U);
  const http_reply on_get = ask("POST /get HTTP/1.1\r\nHost: a\r\n");
  EXPECT_EQ(on_get.status, 405U);
  EXPECT_EQ(on_get.field("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(on_get.field("connection"), "close"); // the body may come or not
  EXPECT_EQ(ask("POST /put HTTP/1.1\r\nHost: b\r\n").status, 421U);
  EXPECT_EQ(ask(to_put + "Origin: http://evil\r\n").status, 403U);
  EXPECT_EQ(ask(to_put).status, 401U);
  EXPECT_EQ(ask(to_put + "Authorization: Bearer r\r\n").status, 403U);

  raw_client welcome = server.connect();
  EXPECT_EQ(welcome
                .ask(to_put + "Authorization: Bearer w\r\nContent-Length: 23\r\n"
                              "Expect: 100-continue\r\n\r\n")
                .status,
            100U);
  EXPECT_EQ(welcome.ask(R"({"key":"a","value":"b"})").status, 200U);
}

TEST(router, sends_no_100_continue_for_a_flush_that_is_not_enabled) {
  const std::string flush = "POST /flush HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                            "Expect: 100-continue\r\n\r\n";
  test_server closed;
  EXPECT_EQ(closed.connect().ask(flush).status, 403U);
  http::server_options options;
  options.enable_flush = true;
  test_server open{options};
  raw_client client = open.connect();
  EXPECT_EQ(client.ask(flush).status, 100U);
  EXPECT_EQ(client.ask("{}").status, 200U);
}

TEST(router, answers_head_like_get_without_the_body) {
  test_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  const http_reply whole = client.ask(get_request("/get?key=a"));
  client.send("HEAD /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n" + get_request("/get?key=a"));
  const http_reply head = client.read_reply(true);
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.field("content-length"), whole.field("content-length"));
  EXPECT_EQ(client.read_reply().body, whole.body); // directly behind the head: no body came
}

TEST(router, refuses_writes_of_another_origins_page) {
  test_server server;
  raw_client client = server.connect();
  const std::string body = R"({"key":"a","value":"b"})";
  EXPECT_EQ(client.ask(post_request("/put", body, "Origin: http://evil.example\r\n")).status, 403U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Sec-Fetch-Site: cross-site\r\n")).status, 403U);
  EXPECT_EQ(client.ask(post_request("/delete", R"({"key":"a"})", "Origin: null\r\n")).status, 403U);
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Origin: http://localhost\r\n")).status, 200U);
  EXPECT_EQ(server.counted().refused(observe::status_slot(403)), 3U);
}

TEST(router, answers_for_the_allowed_hosts_only) {
  http::server_options options;
  options.allowed_hosts = {"cache.example"};
  test_server server{options};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 421U);
  EXPECT_EQ(client.ask("GET /get?key=a HTTP/1.1\r\nHost: cache.example:80\r\n\r\n").status, 404U);
  EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
}

TEST(router, requires_a_token_if_there_are_any) {
  const http::token_authorizer tokens{{{"r", permission::read}, {"w", permission::write}}};
  http::server_services services;
  services.authorization = &tokens;
  test_server server{{}, services};
  raw_client client = server.connect();
  const std::string body = R"({"key":"a","value":"b"})";

  const http_reply without = client.ask(get_request("/get?key=a"));
  EXPECT_EQ(without.status, 401U);
  EXPECT_EQ(without.field("www-authenticate"), "Bearer");
  EXPECT_EQ(client.ask(get_request("/get?key=a", "Authorization: Bearer r\r\n")).status, 404U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Authorization: Bearer r\r\n")).status, 403U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Authorization: Bearer w\r\n")).status, 200U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Authorization: Bearer x\r\n")).status, 401U);
  EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/readyz")).status, 200U);
}

TEST(router, flushes_only_if_that_is_enabled) {
  test_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  EXPECT_EQ(client.ask(post_request("/flush", "")).status, 403U);
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 200U);
}

TEST(router, flushes_for_a_token_that_may_write) {
  const http::token_authorizer tokens{{{"r", permission::read}, {"w", permission::write}}};
  http::server_services services;
  services.authorization = &tokens;
  test_server server{{}, services};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(post_request("/flush", "", "Authorization: Bearer r\r\n")).status, 403U);
  EXPECT_EQ(client.ask(post_request("/flush", "", "Authorization: Bearer w\r\n")).status, 200U);
}

TEST(router, flushes_and_then_answers_the_requests_behind_it) {
  http::server_options options;
  options.enable_flush = true;
  test_server server{options};
  raw_client client = server.connect();
  client.send(put_request("a", "b") + put_request("c", "d") + post_request("/flush", "") +
              get_request("/get?key=a"));
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().body, R"({"status":"OK","message":"Cache flushed.","entries":2})");
  EXPECT_EQ(client.read_reply().body, error_body("Key not found."));
  EXPECT_EQ(server.counted().flushes(), 1U);
}

TEST(router, shows_the_pages_that_exist_and_404_for_others) {
  http::server_services services;
  services.stats = [] { return std::string{R"({"entries":0})"}; };
  services.metrics = [] { return std::string{"a 1\n"}; };
  test_server server{{}, services};
  raw_client client = server.connect();
  const http_reply stats = client.ask(get_request("/stats"));
  EXPECT_EQ(stats.body, R"({"entries":0})");
  EXPECT_EQ(stats.field("content-type"), "application/json");
  const http_reply metrics = client.ask(get_request("/metrics"));
  EXPECT_EQ(metrics.body, "a 1\n");
  EXPECT_TRUE(metrics.field("content-type").starts_with("text/plain"));
}

TEST(router,
     allows_caches_to_store_the_document_and_answers_304_if_it_is_unchanged) { // RFC 9110 §13.1.2
  test_server server;
  raw_client client = server.connect();
  const std::string tag{http::product_endpoints.openapi_tag};
  const http_reply whole = client.ask(get_request("/openapi.json"));
  EXPECT_EQ(whole.status, 200U);
  EXPECT_EQ(whole.body, http::product_endpoints.openapi);
  EXPECT_EQ(whole.field("etag"), tag);
  EXPECT_EQ(whole.field("cache-control"), "no-cache");
  EXPECT_EQ(client.ask(get_request("/openapi.json", "If-None-Match: \"v0\"\r\n")).body,
            http::product_endpoints.openapi);

  for (const char* verb : {"GET", "HEAD"}) {
    client.send(std::string{verb} + " /openapi.json HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/" +
                tag + "\r\n\r\n" + get_request("/healthz"));
    const http_reply same = client.read_reply(true);
    EXPECT_EQ(same.status, 304U);
    EXPECT_EQ(same.field("etag"), tag);
    EXPECT_EQ(same.field("cache-control"), "no-cache");
    EXPECT_FALSE(same.has("content-length"));
    EXPECT_EQ(client.read_reply().body, R"({"status":"OK","message":"Alive."})"); // no body before
  }
}

TEST(router, forbids_caches_to_store_other_responses_to_get) {
  http::server_services services;
  services.stats = [] { return std::string{"{}"}; };
  services.metrics = [] { return std::string{"a 1\n"}; };
  test_server server{{}, services};
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  for (const char* target : {"/get?key=a", "/get?key=b", "/get", "/stats", "/metrics", "/healthz",
                             "/readyz", "/put", "/nowhere"})
    for (const char* verb : {"GET ", "HEAD "}) {
      client.send(std::string{verb} + target + " HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
      EXPECT_EQ(client.read_reply(verb[0] == 'H').field("cache-control"), "no-store")
          << verb << target;
    }
}

TEST(router, refuses_a_body_that_is_coded) { // RFC 9110 §8.4, §15.5.16
  http::server_options options;
  options.enable_flush = true;
  test_server server{options};
  raw_client client = server.connect();
  const std::string body = R"({"key":"a","value":"b"})";
  for (const char* path : {"/put", "/delete", "/flush"}) {
    const http_reply refused = client.ask(post_request(path, body, "Content-Encoding: gzip\r\n"));
    EXPECT_EQ(refused.status, 415U) << path;
    EXPECT_EQ(refused.field("accept-encoding"), "identity");
    EXPECT_EQ(refused.body, error_body("The body has a Content-Encoding: send it without one."));
    EXPECT_EQ(server.connect()
                  .ask(std::string{"POST "} + path +
                       " HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 23\r\n"
                       "Expect: 100-continue\r\n\r\n")
                  .status,
              415U);
  }
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U); // nothing was stored
  for (const char* coding : {"Content-Encoding: identity\r\n", "Content-Encoding:\r\n"})
    EXPECT_EQ(client.ask(post_request("/put", body, coding)).status, 200U) << coding;
  EXPECT_EQ(client.ask(get_request("/get?key=a", "Content-Encoding: gzip\r\n")).status, 200U);
  EXPECT_EQ(client.ask("POST /put HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n").status,
            411U);
}

TEST(router, refuses_a_token_from_the_first_request_after_its_removal) {
  http::token_authorizer tokens{{{"old", permission::write}, {"kept", permission::write}}};
  http::server_services services;
  services.authorization = &tokens;
  // The page is asked for in the middle of the pipeline, and takes the token away.
  services.stats = [&tokens] {
    tokens.set_tokens({{"kept", permission::read}});
    return std::string{"{}"};
  };
  test_server server{{}, services};
  raw_client client = server.connect();
  const std::string with_old = "Authorization: Bearer old\r\n";
  const std::string with_kept = "Authorization: Bearer kept\r\n";
  const std::string body = R"({"key":"a","value":"b"})";
  const std::string gets =
      get_request("/get?key=a", with_old) + get_request("/get?key=a", with_old);
  client.send(post_request("/put", body, with_kept) + post_request("/put", body, with_kept) + gets +
              get_request("/stats", with_old) + gets + post_request("/put", body, with_kept) +
              get_request("/get?key=a", with_kept));
  for (const unsigned status : {200, 200, 200, 200, 200, 401, 401, 403, 200})
    EXPECT_EQ(client.read_reply().status, status);
}

TEST(router, answers_and_refuses_by_the_tokens_in_force_while_they_change) {
  http::token_authorizer tokens{{{"first", permission::read}, {"always", permission::read}}};
  http::server_services services;
  services.authorization = &tokens;
  http::server_options options;
  options.threads = 2;
  test_server server{options, services};
  std::atomic<bool> done{false};
  std::thread changing{[&] {
    for (int i = 0; i < 300; ++i) {
      tokens.set_tokens({{"second", permission::read}, {"always", permission::read}});
      tokens.set_tokens({{"first", permission::read}, {"always", permission::read}});
    }
    tokens.set_tokens({{"always", permission::read}});
    done = true;
  }};
  std::vector<std::thread> asking;
  for (int each = 0; each < 3; ++each)
    asking.emplace_back([&] {
      raw_client client = server.connect();
      const std::string target = "/get?key=a";
      for (bool last = false; !last;) {
        last = done; // what is sent from here on finds neither
        client.send(get_request(target, "Authorization: Bearer first\r\n") +
                    get_request(target, "Authorization: Bearer always\r\n") +
                    get_request(target, "Authorization: Bearer never\r\n") +
                    get_request(target, "Authorization: Bearer second\r\n"));
        const unsigned first = client.read_reply().status;
        EXPECT_TRUE(first == 401U || (!last && first == 404U)) << first;
        EXPECT_EQ(client.read_reply().status, 404U);
        EXPECT_EQ(client.read_reply().status, 401U);
        const unsigned second = client.read_reply().status;
        EXPECT_TRUE(second == 401U || (!last && second == 404U)) << second;
      }
    });
  changing.join();
  for (std::thread& each : asking) each.join();
}

TEST(router, counts_its_responses) {
  test_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  client.ask(put_request("a", "c"));
  client.ask(get_request("/get?key=a"));
  client.ask(get_request("/get?key=z"));
  client.ask(post_request("/delete", R"({"key":"a"})"));
  client.ask(post_request("/delete", R"({"key":"a"})"));
  client.ask(get_request("/get"));
  const observe::counters_snapshot counted = server.counted();
  EXPECT_EQ(counted.of(observe::event::put_inserted), 1U);
  EXPECT_EQ(counted.of(observe::event::put_replaced), 1U);
  EXPECT_EQ(counted.hits(), 1U);
  EXPECT_EQ(counted.misses(), 1U);
  EXPECT_EQ(counted.deletes(), 1U);
  EXPECT_EQ(counted.deletes_not_found(), 1U);
  EXPECT_EQ(counted.refused(observe::status_slot(400)), 1U);
  EXPECT_EQ(counted.refused(observe::status_slot(404)), 0U);
}

} // namespace
} // namespace kvcache::test
