// Bearer tokens, from the file to the response.
#include <gtest/gtest.h>

#include <signal.h>

#include <string>

#include "e2e/binary.hpp"
#include "e2e/token_file.hpp"

namespace kvcache::test {
namespace {

const std::string put_a = R"({"key":"a","value":"b"})";
const std::string delete_a = R"({"key":"a"})";

TEST(tokens, allow_reads_only_with_a_read_only_token) {
  const token_file tokens{"read-only reader\nread-write writer\n"};
  running_server server{{"--auth-token-file", tokens.path(), "--enable-flush"}};
  raw_client client = server.connect();
  const std::string reader = with_token("reader");
  const std::string writer = with_token("writer");
  EXPECT_EQ(client.ask(post_request("/put", put_a, writer)).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", reader)).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", writer)).status, 200U);
  for (const char* page : {"/stats", "/metrics"})
    EXPECT_EQ(client.ask(get_request(page, reader)).status, 200U) << page;
  EXPECT_EQ(client.ask(post_request("/put", R"({"key":"a","value":"other"})", reader)).status,
            403U);
  EXPECT_EQ(client.ask(post_request("/delete", delete_a, reader)).status, 403U);
  EXPECT_EQ(client.ask(post_request("/flush", "", reader)).status, 403U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", reader)).body,
            R"({"status":"OK","key":"a","value":"b"})"); // none of these requests had an effect
  EXPECT_EQ(client.ask(post_request("/delete", delete_a, writer)).status, 200U);
  EXPECT_EQ(client.ask(post_request("/flush", "", writer)).status, 200U);
}

TEST(tokens, are_required_except_for_health_and_documentation) {
  const token_file tokens{"read-write writer\n"};
  running_server server{{"--auth-token-file", tokens.path()}};
  raw_client client = server.connect();
  for (const char* page : {"/", "/healthz", "/readyz", "/openapi.json"})
    EXPECT_EQ(client.ask(get_request(page)).status, 200U) << page;
  for (const std::string& fields :
       {std::string{}, with_token("other"), with_token("write"), with_token("writerr"),
        with_token(""), std::string{"Authorization: Basic writer\r\n"}}) {
    for (const char* page : {"/get?key=a", "/stats", "/metrics"})
      EXPECT_EQ(client.ask(get_request(page, fields)).status, 401U) << page << fields;
    for (const char* path : {"/put", "/delete", "/flush"})
      EXPECT_EQ(client.ask(post_request(path, put_a, fields)).status, 401U) << path << fields;
  }
}

TEST(tokens, change_on_sighup_on_open_connections_too) {
  token_file tokens{"read-write old\n"};
  running_server server{{"--auth-token-file", tokens.path()}};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(post_request("/put", put_a, with_token("old"))).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("old"))).status, 200U);
  tokens.write("read-only new\n");
  server.signal(SIGHUP);
  ASSERT_TRUE(logs_within_patience(server, "tokens in force from")) << server.output();
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("old"))).status, 401U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("new"))).status, 200U);
  EXPECT_EQ(client.ask(post_request("/put", put_a, with_token("new"))).status, 403U);
}

TEST(tokens, are_unchanged_if_the_file_is_invalid_or_missing) {
  token_file tokens{"read-only reader\nread-write writer\n"};
  running_server server{{"--auth-token-file", tokens.path()}};
  raw_client client = server.connect();
  const auto expect_the_old_ones = [&] {
    EXPECT_EQ(client.ask(get_request("/get?key=a", with_token("reader"))).status, 404U);
    EXPECT_EQ(client.ask(post_request("/put", "{", with_token("reader"))).status, 403U);
    EXPECT_EQ(client.ask(post_request("/put", "{", with_token("writer"))).status, 400U);
    EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 401U);
  };
  const auto expect_refusal = [&](const std::string& why) {
    server.signal(SIGHUP);
    EXPECT_TRUE(logs_within_patience(server, "tokens unchanged: " + tokens.path() + ": " + why))
        << server.output();
    expect_the_old_ones();
  };
  tokens.write("read-only reader\nread-secret writer\n");
  expect_refusal("line 2");
  tokens.write("");
  expect_refusal("it contains no token");
  tokens.write(std::string(70'000, '#'));
  expect_refusal("it is larger than 64 KiB");
  tokens.remove();
  expect_refusal("No such file");
  for (const char* secret : {"reader", "writer"})
    EXPECT_EQ(server.output().find(secret), std::string::npos) << secret;
}

} // namespace
} // namespace kvcache::test
