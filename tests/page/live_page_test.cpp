#include "page/live_page.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <utility>

#include "support/test_server.hpp"

namespace kvcache::http {
namespace {

using test::http_reply;
using test::raw_client;
using test::test_server;

constexpr const char* of_browsers =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

std::string get_root(const std::string& fields, const std::string& verb = "GET") {
  return verb + " / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

TEST(live_page, is_within_its_size_and_holds_its_style_and_script) {
  const std::string_view html = page::document.html;
  EXPECT_LE(html.size(), 61'440U);
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  for (const char* placeholder : {"@STYLE@", "@SCRIPT@"})
    EXPECT_EQ(html.find(placeholder), std::string_view::npos);
}

TEST(live_page, refers_to_nothing_elsewhere) {
  std::string html{page::document.html};
  for (const char* name : {"http://www.w3.org/2000/svg"}) // a namespace, which is never fetched
    for (std::size_t at = 0; (at = html.find(name)) != std::string::npos;)
      html.erase(at, std::string_view{name}.size());
  for (const char* reference : {"http:", "https:", "src=", "@import", "url("})
    EXPECT_EQ(html.find(reference), std::string::npos) << reference;
}

TEST(live_page, is_for_clients_that_prefer_html) {
  test_server server;
  raw_client client = server.connect();
  const http_reply reply = client.ask(get_root(of_browsers));
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.field("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(reply.body, page::document.html);
  EXPECT_FALSE(reply.has("content-encoding"));
}

TEST(live_page, is_compressed_for_clients_that_accept_gzip) {
  test_server server;
  raw_client client = server.connect();
  const http_reply reply =
      client.ask(get_root(std::string{of_browsers} + "Accept-Encoding: gzip, deflate, br\r\n"));
  EXPECT_EQ(reply.field("content-encoding"), "gzip");
  EXPECT_EQ(reply.body, page::document.gzip);
  EXPECT_LT(reply.body.size(), page::document.html.size() / 2);
}

TEST(live_page, forbids_everything_but_its_own_style_script_and_polls) {
  test_server server;
  const http_reply reply = server.connect().ask(get_root(of_browsers));
  const std::string policy{reply.field("content-security-policy")};
  EXPECT_TRUE(policy.starts_with("default-src 'none'; style-src 'sha256-")) << policy;
  for (const char* part : {"script-src 'sha256-", "connect-src 'self'", "base-uri 'none'",
                           "form-action 'none'", "frame-ancestors 'none'"})
    EXPECT_NE(policy.find(part), std::string::npos) << part;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(reply.field("x-content-type-options"), "nosniff");
  EXPECT_EQ(reply.field("referrer-policy"), "no-referrer");
}

// The first two requests of a connection are parsed, the others are recognised.
TEST(root, is_chosen_by_each_request_of_a_connection) {
  test_server server;
  raw_client client = server.connect();
  for (int i = 0; i < 8; ++i) {
    const bool html = i % 3 == 0;
    const http_reply reply = client.ask(get_root(html ? of_browsers : "Accept: */*\r\n"));
    EXPECT_EQ(reply.field("content-type"), html ? "text/html; charset=utf-8" : "application/json");
  }
}

TEST(root, lists_the_endpoints_for_all_others) {
  test_server server;
  raw_client client = server.connect();
  for (const char* fields : {"", "Accept: */*\r\n", "Accept: application/json\r\n"}) {
    const http_reply reply = client.ask(get_root(fields));
    EXPECT_EQ(reply.field("content-type"), "application/json");
    const auto list = nlohmann::json::parse(reply.body);
    EXPECT_EQ(list["status"], "OK");
    std::set<std::pair<std::string, std::string>> named;
    for (const auto& each : list["endpoints"]) named.emplace(each["method"], each["path"]);
    EXPECT_EQ(named.size(), list["endpoints"].size());
    for (const auto& known : {std::pair{"GET", "/get"}, std::pair{"PUT", "/kv/{key}"},
                              std::pair{"GET", "/"}, std::pair{"POST", "/batch"}})
      EXPECT_TRUE(named.contains(known)) << known.second;
  }
}

TEST(root, has_a_tag_for_each_representation_and_is_not_sent_again) {
  test_server server;
  raw_client client = server.connect();
  std::set<std::string> tags;
  for (const std::string& fields : {std::string{}, std::string{of_browsers},
                                    std::string{of_browsers} + "Accept-Encoding: gzip\r\n"}) {
    const http_reply first = client.ask(get_root(fields));
    EXPECT_EQ(first.field("vary"), "Accept, Accept-Encoding");
    EXPECT_EQ(first.field("cache-control"), "no-cache");
    const std::string tag{first.field("etag")};
    EXPECT_TRUE(tags.insert(tag).second) << tag;
    const http_reply again = client.ask(get_root(fields + "If-None-Match: " + tag + "\r\n"));
    EXPECT_EQ(again.status, 304U);
    EXPECT_EQ(again.field("etag"), tag);
    EXPECT_EQ(again.field("vary"), "Accept, Accept-Encoding");
    EXPECT_EQ(client.ask(get_root(fields + "If-None-Match: \"other\"\r\n")).status, 200U);
  }
}

TEST(root, is_open_without_a_token) {
  const token_authorizer tokens{{{"writer", permission::write}}};
  server_services services;
  services.authorization = &tokens;
  test_server server{{}, services};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_root("")).status, 200U);
  EXPECT_EQ(client.ask(get_root(of_browsers)).status, 200U);
  EXPECT_EQ(client.ask(test::get_request("/get?key=a")).status, 401U);
}

TEST(root, is_not_found_without_a_page) {
  server_options options;
  options.no_page = true;
  test_server server{options};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_root("")).status, 404U);
  EXPECT_EQ(client.ask(get_root(of_browsers)).status, 404U);
}

} // namespace
} // namespace kvcache::http
