// The rules of HTTP/1.1 (RFC 9110, 9112), over raw sockets.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "e2e/binary.hpp"

namespace kvcache::test {
namespace {

const std::string body = R"({"key":"a","value":"b"})";

// Each request must be rejected with `status`, the connection must close, and data sent after the
// request must have no effect.
void expect_refused(const std::vector<std::string>& requests, unsigned status,
                    std::vector<std::string> arguments = {}) {
  running_server server{std::move(arguments)};
  for (const std::string& request : requests) {
    raw_client client = server.connect();
    client.send(request + put_request("behind", "it"));
    const http_reply reply = client.read_reply();
    EXPECT_EQ(reply.status, status) << request;
    EXPECT_EQ(reply.field("connection"), "close") << request;
    EXPECT_EQ(reply.field("content-type"), "application/json") << request;
    EXPECT_TRUE(reply.body.starts_with(R"({"status":"ERROR","message":")")) << reply.body;
    EXPECT_TRUE(client.ends()) << request;
  }
  EXPECT_EQ(server.connect().ask(get_request("/get?key=behind")).status, 404U);
}

std::string put_with(const std::string& fields, const std::string& content) {
  return "POST /put HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + content;
}

TEST(strict_http, requires_one_well_formed_host) { // RFC 9112 §3.2
  expect_refused(
      {
          "GET /get?key=a HTTP/1.1\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a b\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a/b\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: user@a\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a:port\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost:\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost:\r\n a\r\n\r\n", // folded
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a:65536\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: [....]\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: [:::::::]\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: ::1\r\n\r\n",
      },
      400);
  running_server server;
  raw_client client = server.connect();
  for (const char* host : {"[::1]", "[::1]:7171", "[::ffff:1.2.3.4]:", "a:000080", "127.0.0.1:1"})
    EXPECT_EQ(
        client.ask("GET /get?key=a HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n").status,
        404U)
        << host;
}

TEST(strict_http, rejects_conflicting_body_framing) { // RFC 9112 §6.1
  std::vector<std::string> requests;
  for (const std::string coding : {"chunked", "gzip", "gzip, chunked"}) {
    const std::string transfer_encoding = "Transfer-Encoding: " + coding + "\r\n";
    requests.push_back(put_with("Content-Length: 5\r\n" + transfer_encoding, "0\r\n\r\n"));
    requests.push_back(put_with(transfer_encoding + "Content-Length: 5\r\n", "0\r\n\r\n"));
  }
  expect_refused(requests, 400);
}

TEST(strict_http, rejects_a_content_length_that_is_not_one_number) { // RFC 9112 §6.3
  std::vector<std::string> requests;
  for (const char* length : {"+5", "-5", "", "5 5", "5,5", "0x5", "5.0", "99999999999999999999"})
    requests.push_back(put_with("Content-Length: " + std::string{length} + "\r\n", body));
  requests.push_back(put_with("Content-Length: 23\r\nContent-Length: 24\r\n", body));
  requests.push_back(put_with("Content-Length: 23\r\nContent-Length: 23\r\n", body));
  expect_refused(requests, 400);
}

TEST(strict_http, supports_only_the_chunked_coding) { // RFC 9112 §6.1, §7
  expect_refused({put_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
                  put_with("Transfer-Encoding: gzip\r\n", "")},
                 501);
  expect_refused(
      {put_with("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
       put_with("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
       put_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       "POST /put HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      400);
}

TEST(strict_http, rejects_malformed_chunks) { // RFC 9112 §7.1
  std::vector<std::string> requests;
  for (const char* chunks :
       {"x\r\n", "-1\r\n", "\r\n", "5 \r\n12345\r\n0\r\n\r\n", "2\r\n123\r\n0\r\n\r\n",
        "0x2\r\n12\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "2\n12\n0\n\n"})
    requests.push_back(put_with("Transfer-Encoding: chunked\r\n", chunks));
  expect_refused(requests, 400);
}

TEST(strict_http, does_not_wait_for_the_rest_of_malformed_chunks) { // RFC 9112 §7.1, §2.2
  running_server server{
      {"--body-timeout-ms", "86400000"}}; // far longer than the patience of the client
  for (const char* chunks : {"z", "17zzz", "5\r\nhello!", "1 x", "5;a\rX", "0\r\n\rXXXX",
                             "0\r\nA: b\rX", "0\r\nA: b\n"}) {
    raw_client client = server.connect();
    EXPECT_EQ(client.ask(put_with("Transfer-Encoding: chunked\r\n", chunks)).status, 400U)
        << chunks;
    EXPECT_TRUE(client.ends()) << chunks;
  }
}

// RFC 9112 §7.1.1, §7.1.2
TEST(strict_http, accepts_chunk_extensions_and_trailers_within_limits) {
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client
                .ask(put_with("Transfer-Encoding: chunked\r\n",
                              "5;a=b;c=\"d\"\r\n" + body.substr(0, 5) + "\r\n12\r\n" +
                                  body.substr(5) + "\r\n0\r\nX-Trailer: 1\r\n\r\n"))
                .status,
            200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 200U);
}

TEST(strict_http, limits_chunk_extensions_and_trailers) { // RFC 9112 §7.1.1, RFC 6585 §5
  const auto chunked = [](const std::string& chunks) {
    return put_with("Transfer-Encoding: chunked\r\n", chunks);
  };
  const std::string one_chunk = "17\r\n" + body + "\r\n";
  std::string trailers;
  for (int i = 0; i < 17; ++i) trailers += "X: 1\r\n"; // one more than allowed
  std::string tiny_chunks;
  for (int i = 0; i < 4000; ++i) tiny_chunks += "1\r\n \r\n"; // five bytes of each are framing
  expect_refused({chunked("17;" + std::string(1024, 'x') + "\r\n" + body + "\r\n0\r\n\r\n")}, 400);
  expect_refused({chunked("1;" + std::string(65'536, 'x')), chunked(tiny_chunks + "0\r\n\r\n"),
                  chunked(one_chunk + "0\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n")},
                 413);
  expect_refused({chunked(one_chunk + "0\r\n" + trailers + "\r\n")}, 431);

  running_server server;
  raw_client client = server.connect();
  trailers.erase(0, trailers.find('\n') + 1); // as many as allowed
  EXPECT_EQ(client.ask(chunked(one_chunk + "0\r\n" + trailers + "\r\n")).status, 200U);
  EXPECT_EQ(
      client.ask(chunked("17;" + std::string(1023, 'x') + "\r\n" + body + "\r\n0\r\n\r\n")).status,
      200U);
}

TEST(strict_http, accepts_a_large_legal_body_in_small_chunks) { // RFC 9112 §7.1
  constexpr std::size_t value_chars = 1'000'000;
  running_server server{{"--max-value-chars", std::to_string(value_chars)}};
  std::string escaped = R"({"key":"a","value":")";
  for (std::size_t i = 0; i < value_chars; ++i) escaped += R"(\ud83d\ude00)";
  escaped += R"("})";
  std::string chunks;
  constexpr std::size_t chunk_bytes = 0x200;
  for (std::size_t at = 0; at < escaped.size(); at += chunk_bytes) {
    const std::string chunk = escaped.substr(at, chunk_bytes);
    char size[20];
    std::snprintf(size, sizeof(size), "%zx\r\n", chunk.size());
    chunks.append(size).append(chunk).append("\r\n");
  }
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(put_with("Transfer-Encoding: chunked\r\n", chunks + "0\r\n\r\n")).status,
            200U);
  EXPECT_GT(client.ask(get_request("/get?key=a")).body.size(), 4 * value_chars);
}

TEST(strict_http, rejects_malformed_lines) { // RFC 9112 §2.2, §5
  expect_refused(
      {
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
          std::string{"GET /get?key=a HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 44},
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\nNothing\r\n\r\n",
          "GET /get?key=a HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
          "GET  /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /get?key=a\r\nHost: a\r\n\r\n",
          "GET /get?key=\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
          "G@T /get?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /get?key=a HTTP/1.1\nHost: a\n\n",
      },
      400);
}

TEST(strict_http, limits_target_head_and_fields) { // RFC 9110 §15.5.15, RFC 6585 §5
  expect_refused({get_request("/get?key=" + std::string(9000, 'x'))}, 414);
  std::string many;
  for (int i = 0; i < 64; ++i) many += "X: 1\r\n";
  expect_refused({get_request("/get?key=a", "X: " + std::string(17'000, 'x') + "\r\n"),
                  get_request("/get?key=a", many)},
                 431);
  // With a higher limit of the target, the head is too large.
  expect_refused({get_request("/get?key=" + std::string(17'000, 'x'))}, 431,
                 {"--max-target-bytes", "20000", "--max-head-bytes", "16384"});
}

TEST(strict_http, rejects_a_large_body_before_receiving_it) { // RFC 9110 §15.5.14, §10.1.1
  running_server server;
  for (const char* expect : {"", "Expect: 100-continue\r\n"}) {
    raw_client client = server.connect();
    client.send(put_with("Content-Length: 100000\r\n" + std::string{expect}, ""));
    EXPECT_EQ(client.read_reply().status, 413U);
    EXPECT_TRUE(client.ends());
  }
}

TEST(strict_http, rejects_unsupported_versions) { // RFC 9110 §15.6.6
  expect_refused(
      {"GET /get?key=a HTTP/2.0\r\nHost: a\r\n\r\n", "GET /get?key=a HTTP/0.9\r\nHost: a\r\n\r\n"},
      505);
}

TEST(strict_http, rejects_unsupported_expectations) { // RFC 9110 §10.1.1
  expect_refused({put_with("Expect: miracles\r\nContent-Length: 0\r\n", ""),
                  put_with("Expect: 100-continue, miracles\r\nContent-Length: 0\r\n", "")},
                 417);
}

TEST(strict_http, requires_a_body_where_one_is_needed) { // RFC 9110 §15.5.12
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask("POST /put HTTP/1.1\r\nHost: a\r\n\r\n").status, 411U);
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U); // the connection stays open
}

TEST(strict_http, sends_100_continue_for_an_expected_body) { // RFC 9110 §10.1.1
  running_server server;
  raw_client client = server.connect();
  for (const char* expected : {"100-continue", "100-continue, 100-continue"}) {
    client.send(put_with("Expect: " + std::string{expected} + "\r\nContent-Length: 23\r\n", ""));
    EXPECT_EQ(client.read_reply().status, 100U);
    EXPECT_EQ(client.ask(body).status, 200U);
  }
}

TEST(strict_http, sends_no_100_continue_for_a_request_it_rejects) { // RFC 9110 §10.1.1
  running_server server;
  const std::string waits = "Content-Length: 23\r\nExpect: 100-continue\r\n\r\n";
  const std::pair<const char*, unsigned> heads[] = {
      {"POST /nowhere HTTP/1.1\r\nHost: a\r\n", 404},
      {"POST /get HTTP/1.1\r\nHost: a\r\n", 405},
      {"POST /flush HTTP/1.1\r\nHost: a\r\n", 403}, // not enabled
      {"POST /put HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\n", 403},
  };
  for (const auto& [head, status] : heads) {
    raw_client client = server.connect();
    EXPECT_EQ(client.ask(head + waits).status, status) << head;
    EXPECT_TRUE(client.ends()) << head; // the body may come or not
  }
}

TEST(strict_http, ignores_requests_after_a_close) { // RFC 9112 §9.6
  running_server server;
  raw_client client = server.connect();
  client.send(get_request("/get?key=a", "Connection: close\r\n") + put_request("behind", "it"));
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(server.connect().ask(get_request("/get?key=behind")).status, 404U);
}

TEST(strict_http, names_the_allowed_methods_of_a_path) { // RFC 9110 §15.5.6, §9.3.7
  running_server server;
  raw_client client = server.connect();
  const std::string gets = "GET, HEAD, OPTIONS";
  const std::string posts = "POST, OPTIONS";
  const std::pair<std::string, std::string> paths[] = {
      {"/get", gets},          {"/put", posts},   {"/delete", posts}, {"/flush", posts},
      {"/healthz", gets},      {"/readyz", gets}, {"/stats", gets},   {"/metrics", gets},
      {"/openapi.json", gets}, {"/", gets}};
  for (const auto& [path, allow] : paths) {
    for (const std::string method : {allow == gets ? "POST" : "GET", "PUT", "DELETE", "TRACE"}) {
      const http_reply wrong = client.ask(method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_EQ(wrong.status, 405U) << method << path;
      EXPECT_EQ(wrong.field("allow"), allow) << method << path;
    }
    const http_reply options = client.ask("OPTIONS " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(options.status, 204U) << path;
    EXPECT_EQ(options.field("allow"), allow) << path;
  }
  EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204U);
  EXPECT_EQ(client.ask(get_request("/nowhere")).status, 404U);
}

// RFC 9112 §9.3.2
TEST(strict_http, responds_once_per_request_and_in_order_for_every_outcome) {
  running_server server;
  raw_client client = server.connect();
  const std::pair<std::string, unsigned> requests[] = {
      {put_request("a", "b"), 200},      {get_request("/get?key=a"), 200},
      {get_request("/get"), 400},        {post_request("/put", "{"), 400},
      {get_request("/nowhere"), 404},    {get_request("/get?key=nobody"), 404},
      {post_request("/get", body), 405}, {"POST /put HTTP/1.1\r\nHost: a\r\n\r\n", 411},
      {put_request("", "b"), 400},       {get_request("/get?key=a"), 200},
      {"NONSENSE\r\n\r\n", 400},
  };
  std::string all;
  for (const auto& each : requests) all += each.first;
  client.send(all + put_request("behind", "it"));
  for (const auto& [request, status] : requests)
    EXPECT_EQ(client.read_reply().status, status) << request;
  EXPECT_TRUE(client.ends());
}

TEST(strict_http, accepts_requests_byte_by_byte) { // RFC 9112 §2.2
  running_server server;
  raw_client client = server.connect();
  const std::string chunked_put =
      put_with("Transfer-Encoding: chunked\r\n", "17\r\n" + body + "\r\n0\r\nX: 1\r\n\r\n");
  for (const char byte : put_request("a", "c") + chunked_put + get_request("/get?key=%61"))
    client.send({&byte, 1});
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().body, R"({"status":"OK","key":"a","value":"b"})");
}

TEST(strict_http, ignores_an_upgrade_and_skips_an_empty_line) { // RFC 9110 §7.8, RFC 9112 §2.2
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a", "Connection: upgrade\r\nUpgrade: h2c\r\n")).status,
            404U);
  EXPECT_EQ(client.ask("\r\n" + get_request("/get?key=a")).status, 404U);
}

TEST(strict_http, accepts_absolute_targets) { // RFC 9112 §3.2.2
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  EXPECT_EQ(client.ask(get_request("http://localhost/get?key=a")).status, 200U);
  EXPECT_EQ(client.ask(get_request("HTTP://localhost:7171/get?key=a")).status, 200U);
}

TEST(strict_http, ignores_a_fragment) { // RFC 9112 §3.2
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  const http_reply behind_query = client.ask(get_request("/get?key=a#key=other"));
  EXPECT_EQ(behind_query.body, R"({"status":"OK","key":"a","value":"b"})");
  EXPECT_EQ(client.ask(get_request("/get?key=a%23")).status, 404U); // an escaped '#' is the key's
  EXPECT_EQ(client.ask(get_request("/get#?key=a")).body, error_body("Missing key parameter."));
}

TEST(strict_http, responds_to_head_like_get_without_the_body) { // RFC 9110 §9.3.2
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("a", "b"));
  for (const char* target : {"/get?key=a", "/get?key=nobody", "/get", "/healthz", "/nothing"}) {
    http_reply get = client.ask(get_request(target));
    client.send("HEAD " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    http_reply head = client.read_reply(true);
    EXPECT_EQ(head.status, get.status) << target;
    get.fields.erase("date");
    head.fields.erase("date");
    EXPECT_EQ(head.fields, get.fields) << target;
  }
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 200U); // no body was sent
}

TEST(strict_http, sends_nosniff_with_errors_metrics_and_statistics) { // Fetch §3.6
  running_server server;
  raw_client client = server.connect();
  for (const std::string& request : {get_request("/get"), get_request("/nothing"),
                                     get_request("/metrics"), get_request("/stats")})
    EXPECT_EQ(client.ask(request).field("x-content-type-options"), "nosniff") << request;
}

TEST(strict_http, parses_the_query_strictly) { // RFC 3986 §2.1, §3.4
  running_server server;
  raw_client client = server.connect();
  client.ask(put_request("a b", "c"));
  EXPECT_EQ(client.ask(get_request("/get?x=1&key=a+b&y")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=a%20b")).status, 200U);
  EXPECT_EQ(client.ask(get_request("/get?key=%")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=%4")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=%zz")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=%FF")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=\xFF")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=%C0%AF")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=%ED%A0%80")).status, 400U);
  EXPECT_EQ(client.ask(get_request("/get?key=a&key=a")).status, 400U);
}

TEST(strict_http,
     responds_to_pipelined_requests_in_order_and_reads_its_own_writes) { // RFC 9112 §9.3.2
  running_server server{{"--threads", "2"}};
  raw_client client = server.connect();
  std::string requests;
  for (int i = 0; i < 1000; ++i)
    requests += put_request("k", std::to_string(i)) + get_request("/get?key=k");
  client.send(requests);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(client.read_reply().status, 200U);
    ASSERT_EQ(client.read_reply().body,
              R"({"status":"OK","key":"k","value":")" + std::to_string(i) + R"("})");
  }
}

TEST(strict_http, supports_http_1_0) { // RFC 9112 §9.3
  running_server server;
  raw_client client = server.connect();
  EXPECT_EQ(
      client.ask("GET /get?key=a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").field("connection"),
      "keep-alive");
  EXPECT_EQ(client.ask("GET /get?key=a HTTP/1.0\r\n\r\n").status, 404U);
  EXPECT_TRUE(client.ends());
}

TEST(strict_http, responds_to_all_requests_after_a_half_close) { // RFC 9112 §9.6
  running_server server;
  raw_client client = server.connect();
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += get_request("/get?key=a");
  client.send(requests);
  client.end_sending();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.read_reply().status, 404U);
  EXPECT_TRUE(client.ends());
}

TEST(strict_http, delivers_the_error_response_while_the_peer_still_sends) { // RFC 9112 §9.6
  running_server server;
  raw_client client = server.connect();
  client.send(put_with("Content-Length: 400000\r\n", ""));
  const std::string piece(40'000, 'x');
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.send(piece));
  EXPECT_EQ(client.read_reply().status, 413U);
  EXPECT_TRUE(client.ends());
}

template <class Predicate>
bool eventually(Predicate holds) {
  const auto end = std::chrono::steady_clock::now() + raw_client::patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(strict_http, ends_a_lingering_close_after_its_timeout) { // RFC 9112 §9.6
  running_server server;
  const std::size_t files = open_files(server.pid());
  raw_client stays = server.connect();
  EXPECT_EQ(stays.ask("NONSENSE\r\n\r\n").status, 400U);
  EXPECT_TRUE(stays.ends()); // while this end stays open
  EXPECT_TRUE(eventually([&] { return open_files(server.pid()) <= files; }));
}

// RFC 6454 §7, Fetch §3.2, W3C Fetch Metadata §2.3
TEST(strict_http, rejects_writes_from_a_page_of_another_origin) {
  running_server server;
  raw_client client = server.connect();
  for (const char* field :
       {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: other",
        "Sec-Fetch-Site: Same-Origin", "Sec-Fetch-Site:", "Origin: http://evil.example",
        "Origin: null", "Origin:", "Origin: http://", "Origin: http://localhost:7171",
        "Origin: http://localhost.evil.example", "Origin: http://[::1]"})
    EXPECT_EQ(client.ask(post_request("/put", body, std::string{field} + "\r\n")).status, 403U)
        << field;
  EXPECT_EQ(client.ask(get_request("/get?key=a", "Origin: http://evil.example\r\n")).status, 404U);
  EXPECT_EQ(client.ask(get_request("/get?key=a", "Origin: null\r\n")).status, 404U);
  const http_reply own = client.ask(post_request("/put", body, "Origin: http://localhost\r\n"));
  EXPECT_EQ(own.status, 200U);
  EXPECT_FALSE(own.has("access-control-allow-origin"));
  EXPECT_EQ(client.ask(post_request("/put", body, "Sec-Fetch-Site: same-origin\r\n")).status, 200U);
  EXPECT_EQ(client.ask(post_request("/put", body, "Sec-Fetch-Site: none\r\n")).status, 200U);
}

TEST(strict_http, compares_origins_with_ports_and_with_ipv6_hosts) { // RFC 6454 §5, RFC 3986 §3.2.2
  running_server server;
  raw_client client = server.connect();
  const auto status = [&](const std::string& host, const std::string& origin) {
    return client
        .ask("POST /put HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + origin +
             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body)
        .status;
  };
  EXPECT_EQ(status("localhost:7171", "http://localhost:7171"), 200U);
  EXPECT_EQ(status("localhost:80", "http://localhost"), 200U);
  EXPECT_EQ(status("localhost", "https://localhost:443"), 200U);
  EXPECT_EQ(status("[::1]:7171", "http://[::1]:7171"), 200U);
  EXPECT_EQ(status("[::1]", "http://[::1]"), 200U);
  EXPECT_EQ(status("localhost:7171", "http://localhost:8080"), 403U);
  EXPECT_EQ(status("localhost:7171", "http://localhost"), 403U);
  EXPECT_EQ(status("[::1]:7171", "http://[::1]:8080"), 403U);
  EXPECT_EQ(status("[::1]:7171", "http://[::2]:7171"), 403U);
}

TEST(strict_http, rejects_any_origin_for_a_request_without_host) { // HTTP/1.0
  running_server server;
  for (const char* origin : {"http://", "https://", "http://:80", "http://localhost", "null"}) {
    raw_client client = server.connect();
    EXPECT_EQ(client
                  .ask("POST /put HTTP/1.0\r\nContent-Length: 23\r\nOrigin: " +
                       std::string{origin} + "\r\n\r\n" + body)
                  .status,
              403U)
        << origin;
  }
  EXPECT_EQ(server.connect().ask("POST /put HTTP/1.0\r\nContent-Length: 23\r\n\r\n" + body).status,
            200U);
}

TEST(strict_http, accepts_requests_for_allowed_hosts_only) { // RFC 9110 §7.4, §15.5.20
  running_server server{{"--allowed-hosts", "cache.example,localhost,[::1]"}};
  raw_client client = server.connect();
  const auto status = [&](const std::string& target, const std::string& host) {
    return client.ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  for (const char* host :
       {"localhost", "LOCALHOST:7171", "cache.example:80", "[::1]", "[::1]:7171"})
    EXPECT_EQ(status("/get?key=a", host), 404U) << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "[::2]", "127.0.0.1"})
    EXPECT_EQ(status("/get?key=a", host), 421U) << host;
  // RFC 9112 §3.2.2: the host of the target takes precedence over the field.
  EXPECT_EQ(status("http://cache.example:7171/get?key=a", "evil.example"), 404U);
  EXPECT_EQ(status("http://[::1]/get?key=a", "evil.example"), 404U);
  EXPECT_EQ(status("http://evil.example/get?key=a", "cache.example"), 421U);
  EXPECT_EQ(status("http://evil.example:80/get?key=a", "localhost"), 421U);
}

} // namespace
} // namespace kvcache::test
