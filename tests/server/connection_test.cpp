// Connections: RFC 9112 §9.
#include "server/connection.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view hit = R"({"status":"OK","key":"a","value":"b"})";

// Waits until it holds, within the client's patience.
template <class Predicate>
bool eventually(Predicate holds) {
  const auto end = std::chrono::steady_clock::now() + raw_client::patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

http::server_options with(unsigned http::deadlines::*deadline, unsigned value_ms) {
  http::server_options options;
  options.timeouts.*deadline = value_ms;
  return options;
}

TEST(connection, answers_a_thousand_pipelined_requests_in_order) { // RFC 9112 §9.3.2
  test_server server;
  raw_client client = server.connect();
  std::string requests;
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    requests += put_request("k" + number, number) + get_request("/get?key=k" + number);
  }
  client.send(requests);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(client.read_reply().status, 200U);
    const std::string number = std::to_string(i);
    ASSERT_EQ(client.read_reply().body,
              R"({"status":"OK","key":"k)" + number + R"(","value":")" + number + R"("})");
  }
}

// One connection and one request a batch, as an ordinary client has it: whatever its order is, half
// of each kind is timed, give or take.
TEST(connection, measures_gets_and_puts_alike_if_they_alternate) {
  test_server server;
  raw_client client = server.connect();
  constexpr std::uint64_t each = 500;
  for (std::uint64_t i = 0; i < each; ++i) {
    ASSERT_EQ(client.ask(put_request("a", "b")).status, 200U);
    ASSERT_EQ(client.ask(get_request("/get?key=a")).status, 200U);
  }
  // A client has its reply before the server has counted it.
  ASSERT_TRUE(
      eventually([&] { return server.counted().puts() + server.counted().gets() == 2 * each; }));
  const observe::counters_snapshot counted = server.counted();
  constexpr std::uint64_t six_deviations = 67; // of half of them
  for (const auto* timed : {&counted.get_latency, &counted.put_latency}) {
    EXPECT_GE(timed->count(), each / 2 - six_deviations);
    EXPECT_LE(timed->count(), each / 2 + six_deviations);
  }
}

TEST(connection, accepts_requests_split_at_every_byte) { // RFC 9112 §2.2
  test_server server;
  const std::string requests = put_request("a", "b") + get_request("/get?key=a");
  for (std::size_t split = 1; split < requests.size(); ++split) {
    raw_client client = server.connect();
    client.send(std::string_view{requests}.substr(0, split));
    std::this_thread::yield();
    client.send(std::string_view{requests}.substr(split));
    ASSERT_EQ(client.read_reply().status, 200U) << split;
    ASSERT_EQ(client.read_reply().body, hit) << split;
  }
}

TEST(connection, accepts_requests_byte_by_byte) {
  test_server server;
  raw_client client = server.connect();
  for (const char byte : put_request("a", "b") + get_request("/get?key=a")) client.send({&byte, 1});
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().body, hit);
}

TEST(connection, accepts_the_largest_request_and_refuses_one_byte_more) {
  test_server server;
  raw_client client = server.connect();
  const std::size_t body_bytes = http::http_limits{}.body_bytes;
  std::string body = R"({"key":"a","value":"b"})";
  body.append(body_bytes - body.size(), ' ');
  EXPECT_EQ(client.ask(post_request("/put", body)).status, 200U);
  body.push_back(' ');
  EXPECT_EQ(client.ask(post_request("/put", body)).status, 413U);
  EXPECT_TRUE(client.ends());
}

TEST(connection, answers_everything_after_a_half_close) { // RFC 9112 §9.6
  test_server server;
  raw_client client = server.connect();
  client.send(put_request("a", "b") + get_request("/get?key=a"));
  client.end_sending();
  EXPECT_EQ(client.read_reply().status, 200U);
  EXPECT_EQ(client.read_reply().body, hit);
  EXPECT_TRUE(client.ends());
}

TEST(connection, closes_when_the_peer_ends_in_the_middle_of_a_request) { // RFC 9112 §8
  test_server server;
  raw_client client = server.connect();
  client.send("GET /get?key=a HTTP/1.1\r\n");
  client.end_sending();
  EXPECT_TRUE(client.ends());
}

TEST(connection, processes_nothing_behind_a_close) { // RFC 9112 §9.6
  test_server server;
  raw_client client = server.connect();
  client.send(get_request("/get?key=a", "Connection: close\r\n") + put_request("a", "b"));
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 404U);
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(server.store().size(), 0U);
}

TEST(connection, processes_nothing_behind_a_malformed_request) { // RFC 9112 §2.2, §9.6
  test_server server;
  raw_client client = server.connect();
  client.send("GET /get?key=a HTTP/1.1\r\n\r\n" + put_request("a", "b"));
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 400U);
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(server.store().size(), 0U);
}

// Ordinary clients read nothing before they have sent everything. RFC 9112 §9.6
TEST(connection, delivers_every_final_response_to_a_client_that_continues_to_upload) {
  constexpr std::size_t upload_bytes = 10'000'000;
  const std::string post = "POST /put HTTP/1.1\r\nHost: a\r\n";
  const std::vector<std::pair<std::string, unsigned>> refused{
      {post + "Content-Length: 10000000\r\n\r\n", 413U},
      {post + "Transfer-Encoding: chunked\r\n\r\nffffff\r\n", 413U},
      {post + "Transfer-Encoding: chunked\r\n\r\n", 400U},
      {post + "Transfer-Encoding: gzip\r\n\r\n", 501U},
      {"POST /flush HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 16000\r\n\r\n",
       403U},
      {"GET /", 414U},
      {"GET / HTTP/1.1\r\nHost: a\r\nA: ", 431U},
      {"NONSENSE\r\n\r\n", 400U},
      {get_request("/get?key=a", "Connection: close\r\n"), 404U}};
  test_server server;
  const std::string piece(100'000, 'x');
  for (const auto& [start, status] : refused) {
    raw_client client = server.connect();
    ASSERT_TRUE(client.send(start));
    for (std::size_t sent = 0; sent < upload_bytes; sent += piece.size())
      ASSERT_TRUE(client.send(piece)) << start << sent;
    EXPECT_EQ(client.read_reply().status, status) << start;
    EXPECT_TRUE(client.ends());
    EXPECT_LT(server.server().buffer_bytes(), 1'000'000U); // nothing is kept of it
  }
}

TEST(connection,
     delivers_its_refusal_over_the_connection_limit_to_a_client_that_continues_to_upload) {
  http::server_options options;
  options.max_connections = 1;
  options.health_connections = 1;
  test_server server{options};
  raw_client first = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  const raw_client silent = server.connect(); // takes the connection for health
  const std::string piece(100'000, 'x');
  raw_client second = server.connect(); // refused unasked
  second.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(second.send(piece)) << i;
  EXPECT_EQ(second.read_reply().status, 503U);
  EXPECT_TRUE(second.ends());
}

TEST(connection, discards_for_a_bounded_time_however_fast_a_peer_sends) { // RFC 9112 §9.6
  http::server_options options;
  options.timeouts.linger_total_ms = 500;
  test_server server{options};
  raw_client client = server.connect();
  client.send("NONSENSE\r\n\r\n");
  const std::string piece(100'000, 'x');
  EXPECT_TRUE(eventually([&] { return !client.send(piece); }));
}

TEST(connection, does_not_wait_for_a_slow_trickle_after_its_final_response) { // RFC 9112 §9.6
  test_server server{with(&http::deadlines::linger_timeout_ms, 200)};
  raw_client client = server.connect();
  client.send("NONSENSE\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 400U);
  raw_client bystander = server.connect();
  std::size_t sent = 0;
  while (client.send("x") && sent < 1000) {
    EXPECT_TRUE(bystander.is_silent_for(milliseconds{10}));
    ++sent;
  }
  EXPECT_LT(sent, 1000U);
}

TEST(connection, continues_to_discard_while_the_peer_is_fast_enough) { // RFC 9112 §9.6
  test_server server{with(&http::deadlines::linger_timeout_ms, 400)};
  raw_client client = server.connect();
  raw_client bystander = server.connect();
  client.send("NONSENSE\r\n\r\n");
  const std::string piece(20'000, 'x');
  for (int i = 0; i < 16; ++i) { // four such times in all
    ASSERT_TRUE(client.send(piece)) << i;
    EXPECT_TRUE(bystander.is_silent_for(milliseconds{100}));
  }
  EXPECT_EQ(client.read_reply().status, 400U);
  EXPECT_TRUE(client.ends());
}

TEST(connection, supports_http_1_0_with_and_without_keep_alive) { // RFC 9112 §9.3, C.2.2
  test_server server;
  raw_client client = server.connect();
  const http_reply kept = client.ask("GET /get?key=a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(kept.status, 404U);
  EXPECT_EQ(kept.field("connection"), "keep-alive");
  EXPECT_EQ(client.ask("GET /get?key=a HTTP/1.0\r\n\r\n").status, 404U);
  EXPECT_TRUE(client.ends());
}

TEST(connection, sends_100_continue_to_a_client_that_waits_for_it) { // RFC 9110 §10.1.1
  test_server server;
  raw_client client = server.connect();
  const std::string body = R"({"key":"a","value":"b"})";
  client.send("POST /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 100U);
  EXPECT_EQ(client.ask(body).status, 200U);
}

// RFC 9110 §10.1.1, §15.5.14
TEST(connection, refuses_a_body_that_is_too_large_instead_of_sending_100_continue) {
  test_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client
                .ask("POST /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                     "Content-Length: 1000000\r\n\r\n")
                .status,
            413U);
  EXPECT_TRUE(client.ends());
}

// ---- deadlines -----------------------------------------------------------------------

TEST(connection, answers_408_to_a_trickling_head) { // RFC 9110 §15.5.9
  test_server server{with(&http::deadlines::head_timeout_ms, 100)};
  raw_client client = server.connect();
  client.send("GET /get?key=a HTTP/1.1\r\nHost: a\r\n");
  bool open = true; // further bytes do not extend it
  while (open && client.is_silent_for(milliseconds{10})) open = client.send("X-Drip: 1\r\n");
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 408U);
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_TRUE(client.ends());
}

TEST(connection, answers_408_to_a_trickling_body) { // RFC 9110 §15.5.9
  test_server server{with(&http::deadlines::body_timeout_ms, 100)};
  raw_client client = server.connect();
  client.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
  bool open = true;
  while (open && client.is_silent_for(milliseconds{10})) open = client.send(" ");
  EXPECT_EQ(client.read_reply().status, 408U);
  EXPECT_TRUE(client.ends());
}

TEST(connection, answers_408_for_the_request_that_stalls_and_not_for_the_previous_one) {
  test_server server{with(&http::deadlines::body_timeout_ms, 100)};
  raw_client client = server.connect();
  client.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.read_reply(true).status, 200U);
  client.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  const http_reply reply = client.read_reply();
  EXPECT_EQ(reply.status, 408U);
  EXPECT_NE(reply.body.find("body did not arrive"), std::string::npos) << reply.body;
  EXPECT_TRUE(client.ends());
}

TEST(connection, answers_408_without_a_body_to_a_head_request) { // RFC 9110 §9.3.2
  test_server server{with(&http::deadlines::head_timeout_ms, 100)};
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
  client.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n");
  EXPECT_EQ(client.read_reply(true).status, 408U);
  EXPECT_TRUE(client.ends());
}

TEST(connection, waits_for_no_more_of_a_request_line_that_cannot_become_valid) {
  test_server server;
  for (const std::string line : {"GET / \r\n\r\n", "GET  /", "GET / http", "GET /\r\n"})
    EXPECT_EQ(server.connect().ask(line).status, 400U) << line; // and no 408
}

TEST(connection, has_a_deadline_for_each_pipelined_request) {
  test_server server{with(&http::deadlines::head_timeout_ms, 400)};
  raw_client client = server.connect();
  // Each ends in the middle of the next; all together take longer than one may.
  const std::string request = get_request("/get?key=a");
  client.send(request.substr(0, 20));
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(client.is_silent_for(milliseconds{80}));
    client.send(request.substr(20) + request.substr(0, 20));
    ASSERT_EQ(client.read_reply().status, 404U);
  }
}

TEST(connection, closes_silently_when_idle_for_too_long) { // RFC 9112 §9.5
  test_server server{with(&http::deadlines::idle_timeout_ms, 100)};
  raw_client fresh = server.connect();
  raw_client used = server.connect();
  EXPECT_EQ(used.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_TRUE(used.ends());
  EXPECT_TRUE(fresh.ends());
}

// Sends the empty lines that may stand before a request (RFC 9112 §2.2), byte by byte and slowly;
// returns how many bytes that were before the server ended the connection.
std::size_t drip_empty_lines(raw_client& client) {
  const std::string_view empty_lines = "\r\n\r\n\r\n\r\n";
  std::size_t sent = 0;
  while (sent < empty_lines.size() && client.is_silent_for(milliseconds{200}))
    client.send(empty_lines.substr(sent++, 1));
  return sent;
}

TEST(connection, is_not_idle_for_longer_with_trickling_empty_lines) {
  test_server server{with(&http::deadlines::idle_timeout_ms, 400)};
  raw_client used = server.connect();
  EXPECT_EQ(used.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_LT(drip_empty_lines(used), 8U);
  EXPECT_TRUE(eventually([&] { return server.counted().connections_now() == 0; }));
}

TEST(connection, has_no_more_time_for_its_first_head_with_trickling_empty_lines) {
  test_server server{with(&http::deadlines::head_timeout_ms, 400)};
  raw_client fresh = server.connect();
  EXPECT_LT(drip_empty_lines(fresh), 8U);
  EXPECT_TRUE(eventually([&] { return server.counted().connections_now() == 0; }));
}

TEST(connection, counts_its_idle_time_from_its_last_request_on) {
  test_server server{with(&http::deadlines::idle_timeout_ms, 400)};
  raw_client client = server.connect();
  for (int i = 0; i < 8; ++i) { // longer than one idle time in all
    ASSERT_EQ(client.ask("\r\n" + get_request("/get?key=a")).status, 404U) << i;
    EXPECT_TRUE(client.is_silent_for(milliseconds{80}));
  }
}

TEST(connection, closes_for_a_peer_that_never_reads) { // RFC 9112 §9.5
  http::server_options options = with(&http::deadlines::write_timeout_ms, 200);
  test_server server{options};
  raw_client client{server.port(), 4096};
  client.ask(put_request("a", std::string(256, 'v')));
  const std::string request = get_request("/get?key=a");
  // Until the server reads no more either: what it holds is bounded.
  while (client.send_some(request) != 0) {
  }
  EXPECT_LT(server.server().buffer_bytes(), 1'000'000U);
  EXPECT_TRUE(eventually([&] { return server.counted().connections_now() == 0; }));
}

// Readers of one large reply, slower than the kernel lets the server see by itself.
class connection_with_slow_reader : public testing::Test {
protected:
  static constexpr std::size_t value_bytes = 6'000'000; // more than the kernel takes at once
  static constexpr unsigned write_timeout_ms = 1000;
  static constexpr int small_receive_buffer = 4096;

  connection_with_slow_reader() {
    EXPECT_EQ(bystander_.ask(put_request("a", std::string(value_bytes, 'v'))).status, 200U);
    reader_.send(get_request("/get?key=a"));
  }

  void let_pass(milliseconds time) { EXPECT_TRUE(bystander_.is_silent_for(time)); }

  http::server_options options_ = [] {
    http::server_options options = with(&http::deadlines::write_timeout_ms, write_timeout_ms);
    options.limits.max_value_chars = value_bytes;
    options.limits = options.limits.raised_for_characters();
    return options;
  }();
  test_server server_{options_};
  raw_client bystander_ = server_.connect();
  raw_client reader_{server_.port(), small_receive_buffer};
};

TEST_F(connection_with_slow_reader, delivers_everything_to_a_peer_that_reads_slowly_but_steadily) {
  for (milliseconds passed{0}; passed < 3 * milliseconds{write_timeout_ms};
       passed += milliseconds{100}) {
    let_pass(milliseconds{100});
    reader_.receive_some(1500);
  }
  const http_reply reply = reader_.read_reply();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body,
            R"({"status":"OK","key":"a","value":")" + std::string(value_bytes, 'v') + R"("})");
}

TEST_F(connection_with_slow_reader, closes_for_a_peer_that_reads_almost_nothing) {
  EXPECT_TRUE(eventually([&] {
    let_pass(milliseconds{10});
    reader_.receive_some(1);
    return server_.counted().connections_now() == 1;
  }));
}

TEST(connection, continues_when_a_slow_reader_reads) {
  test_server server;
  raw_client client{server.port(), 65'536};
  client.ask(put_request("a", std::string(256, 'v')));
  const std::string request = get_request("/get?key=a");
  std::size_t sent = 0;
  std::string rest;
  // Until the server reads no more, because this client does not.
  while (rest.empty()) {
    const std::size_t taken = client.send_some(request);
    rest = request.substr(taken);
    ++sent;
  }
  std::thread sender{[&] { client.send(rest); }};
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(client.read_reply().status, 200U);
  sender.join();
}

// ---- memory --------------------------------------------------------------------------

TEST(connection, holds_little_while_idle_and_frees_the_buffers_of_a_burst) {
  constexpr std::size_t idle_bytes = 4608;       // of each; see server_options::max_connections
  constexpr std::size_t scratch_bytes = 262'144; // that a worker keeps
  test_server server;
  raw_client client = server.connect();
  EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 404U);
  const std::size_t before = server.server().buffer_bytes();

  std::vector<raw_client> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(server.connect());
    ASSERT_EQ(idle.back().ask(get_request("/get?key=a")).status, 404U);
  }
  const std::size_t with_idle = before + idle.size() * idle_bytes;
  EXPECT_TRUE(eventually([&] { return server.server().buffer_bytes() <= with_idle; }));

  std::string burst;
  for (int i = 0; i < 2000; ++i) burst += get_request("/get?key=a");
  client.send(burst);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(client.read_reply().status, 404U);
  EXPECT_TRUE(
      eventually([&] { return server.server().buffer_bytes() <= with_idle + scratch_bytes; }));
}

TEST(connection, counts_the_memory_of_a_decoded_body_and_frees_it) {
  constexpr std::size_t kept_chars = 200'000;  // ASCII, so as many bytes
  constexpr std::size_t large_chars = 400'000; // more than is kept for the next one
  http::server_options options;
  options.limits.max_value_chars = large_chars;
  options.limits = options.limits.raised_for_characters();
  test_server server{options};
  const std::size_t before = server.server().buffer_bytes();
  const auto put_escaped = [&](std::size_t chars) {
    const std::string body = R"({"key":"a","value":"\t)" + std::string(chars - 1, 'v') + R"("})";
    EXPECT_EQ(server.connect().ask(post_request("/put", body)).status, 200U);
    EXPECT_TRUE(eventually([&] { return server.counted().connections_now() == 0; }));
  };
  put_escaped(kept_chars);
  EXPECT_TRUE(eventually([&] {
    return server.server().buffer_bytes() >= before + kept_chars &&
           server.server().buffer_bytes() < before + kept_chars * 2;
  }));
  put_escaped(large_chars);
  EXPECT_TRUE(eventually([&] { return server.server().buffer_bytes() < before + kept_chars; }));
}

TEST(connection, refuses_for_good_a_request_that_exceeds_the_highest_cap) {
  http::server_options options;
  options.max_buffer_bytes = 16'384;
  test_server server{options};
  raw_client announcing = server.connect();
  announcing.send(post_request("/put", std::string(16'000, ' ')).substr(0, 2000));
  EXPECT_EQ(announcing.read_reply().status, 413U);
  EXPECT_TRUE(announcing.ends());

  raw_client asking = server.connect();
  asking.send(
      "POST /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 16000\r\n\r\n");
  EXPECT_EQ(asking.read_reply().status, 413U);
  EXPECT_TRUE(asking.ends());
}

TEST(connection, receives_a_large_body_with_no_more_memory_than_it_needs) {
  constexpr std::size_t body_bytes = 9000; // twice 8192 would not fit
  http::server_options options;
  options.max_buffer_bytes = 16'384;
  test_server server{options};
  const http_reply reply = server.connect().ask(post_request("/put", std::string(body_bytes, ' ')));
  EXPECT_EQ(reply.status, 400U); // the body was read
}

// In chunks with much framing. REQUIRES: a multiple of their size.
std::string in_small_chunks(std::string_view body) {
  constexpr std::size_t chunk_bytes = 128;
  std::string text = "POST /put HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (; body.size() >= chunk_bytes; body.remove_prefix(chunk_bytes))
    text.append("80\r\n").append(body.substr(0, chunk_bytes)).append("\r\n");
  return text.append("0\r\n\r\n");
}

// The cap is that of 64 MiB.
TEST(connection, accepts_a_body_in_chunks_if_it_accepts_one_with_a_length) {
  http::server_options options;
  options.max_buffer_bytes = std::size_t{16} << 20;
  options.limits.max_value_chars = 1'000'000;
  options.limits = options.limits.raised_for_characters();
  test_server server{options};
  for (const std::size_t kib : {1024U, 4096U, 8204U, 11'700U}) {
    const std::string pair = R"({"key":"a","value":"b"})";
    const std::string body = pair + std::string(kib * 1024 - pair.size(), ' ');
    EXPECT_EQ(server.connect().ask(post_request("/put", body)).status, 200U) << kib;
    EXPECT_TRUE(eventually([&] { return server.server().buffer_bytes() < 1'000'000; }));
    EXPECT_EQ(server.connect().ask(in_small_chunks(body)).status, 200U) << kib;
    EXPECT_TRUE(eventually([&] { return server.server().buffer_bytes() < 1'000'000; }));
  }
}

TEST(connection, refuses_a_request_that_would_exceed_the_cap_on_all_buffers) {
  test_server server;
  server.server().set_caps({.buffer_bytes = 16'384, .buffer_bytes_most = 1'000'000});
  raw_client client = server.connect();
  const http_reply reply = client.ask(post_request("/put", std::string(16'000, ' ')));
  EXPECT_EQ(reply.status, 503U);
  EXPECT_EQ(reply.field("retry-after"), "1");
  EXPECT_NE(reply.body.find("no memory to receive this request"), std::string::npos) << reply.body;
  EXPECT_TRUE(client.ends());
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 404U);
}

TEST(connection, refuses_a_long_head_that_would_exceed_the_cap_whatever_its_request) {
  test_server server;
  server.server().set_caps({.buffer_bytes = 1, .buffer_bytes_most = 1'000'000});
  const std::vector<std::string> paths{"/put",      "/get",         "/delete",  "/flush",
                                       "/snapshot", "/stats",       "/metrics", "/healthz",
                                       "/readyz",   "/openapi.json"};
  std::vector<raw_client> clients;
  for (const std::string& path : paths) {
    clients.push_back(server.connect());
    clients.back().send(get_request(path, "X-Padding: " + std::string(2000, 'x') + "\r\n"));
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const http_reply reply = clients[i].read_reply();
    EXPECT_EQ(reply.status, 503U) << paths[i];
    EXPECT_NE(reply.body.find("no memory to receive this request"), std::string::npos) << paths[i];
  }
}

// Peers that ask and read nothing, and one that does both.
class connection_among_greedy_ones : public testing::Test {
protected:
  static constexpr std::size_t cap_bytes = 1'000'000;
  static constexpr int small_receive_buffer = 4096;

  connection_among_greedy_ones() { friendly_.ask(put_request("a", std::string(256, 'v'))); }

  bool is_short() { return server_.server().is_short_of_memory(); }

  std::uint64_t shed() { return server_.counted().of(observe::event::connection_shed); }

  // Those there are ask for more, and where that does not bring it near the cap one more comes.
  void let_greedy_ones_ask() {
    for (raw_client& peer : greedy_) peer.send_some(questions_);
    if (is_short()) return;
    greedy_.emplace_back(server_.port(), small_receive_buffer);
    while (!is_short() && greedy_.back().send_some(questions_) != 0) {
    }
  }

  const std::string questions_ = [] {
    std::string questions;
    for (int i = 0; i < 100; ++i) questions += get_request("/get?key=a");
    return questions;
  }();
  http::server_options options_ = [] {
    http::server_options options;
    options.max_buffer_bytes = cap_bytes;
    options.send_buffer_bytes = cap_bytes / 64; // as far below the cap as the daemon has it
    options.receive_buffer_bytes = cap_bytes / 64;
    return options;
  }();
  test_server server_{options_};
  raw_client friendly_ = server_.connect();
  std::vector<raw_client> greedy_;
};

TEST_F(connection_among_greedy_ones, is_served_while_stalled_peers_are_closed) {
  EXPECT_TRUE(eventually([&] {
    let_greedy_ones_ask();
    EXPECT_EQ(friendly_.ask(get_request("/get?key=a")).status, 200U);
    return shed() > 0;
  }));
  EXPECT_TRUE(eventually([&] { return !is_short(); }));
  EXPECT_LE(shed(), greedy_.size());
  EXPECT_EQ(friendly_.ask(get_request("/get?key=a")).status, 200U);
}

TEST_F(connection_among_greedy_ones, gets_every_response_of_a_long_pipeline) {
  // Until some have been cut: as long as the others have just taken something, too, nothing tells
  // them from who reads.
  while (shed() < 3) {
    let_greedy_ones_ask();
    EXPECT_TRUE(friendly_.is_silent_for(milliseconds{20}));
  }
  while (!is_short()) let_greedy_ones_ask();
  constexpr int asked = 2000;
  const std::jthread sender{[&] {
    for (int i = 0; i < asked / 100; ++i) friendly_.send(questions_);
  }};
  for (int i = 0; i < asked; ++i) ASSERT_EQ(friendly_.read_reply().status, 200U) << i;
}

// It holds as much as they do, and the kernel tells the server of its progress more rarely than
// they are cut.
TEST_F(connection_among_greedy_ones, is_not_closed_while_it_reads_slowly_but_steadily) {
  raw_client steady{server_.port(), 65'536};
  while (steady.send_some(questions_) != 0) {
  }
  while (shed() < 5) {
    let_greedy_ones_ask();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(steady.read_reply().status, 200U);
    EXPECT_TRUE(friendly_.is_silent_for(milliseconds{20}));
  }
  for (int i = 0; i < 10; ++i) ASSERT_EQ(steady.read_reply().status, 200U);
}

TEST(connection, refuses_half_a_large_request_that_stalls_while_buffers_are_short) {
  http::server_options options;
  options.max_buffer_bytes = 200'000;
  test_server server{options};
  const std::string body(14'000, ' ');
  const std::string request = post_request("/put", body);
  std::vector<raw_client> stalled;
  const auto is_short = [&] { return server.server().is_short_of_memory(); };
  while (!is_short()) {
    stalled.push_back(server.connect());
    const std::size_t before = server.server().buffer_bytes();
    stalled.back().send(std::string_view{request}.substr(0, 12'000));
    ASSERT_TRUE(eventually([&] { return server.server().buffer_bytes() >= before + 10'000; }));
  }
  EXPECT_EQ(stalled.front().read_reply().status, 503U);
  EXPECT_TRUE(stalled.front().ends());
  EXPECT_TRUE(eventually([&] { return !is_short(); }));
}

TEST(connection, holds_no_memory_while_it_is_idle) {
  constexpr std::size_t cap_bytes = 1'000'000;
  http::server_options options;
  options.max_buffer_bytes = cap_bytes;
  test_server server{options};
  std::vector<raw_client> idle;
  // More than three quarters of the cap are taken by idle connections alone.
  while (server.server().buffer_bytes() < cap_bytes / 10 * 9) {
    idle.push_back(server.connect());
    ASSERT_EQ(idle.back().ask(get_request("/get?key=a")).status, 404U);
  }
  EXPECT_EQ(server.server().holder_count(), 0U);
  EXPECT_FALSE(server.server().is_short_of_memory());
  // A head that pauses has its time.
  const std::string request = get_request("/get?key=a");
  idle.front().send(std::string_view{request}.substr(0, 10));
  EXPECT_TRUE(idle.front().is_silent_for(milliseconds{1200}));
  EXPECT_EQ(idle.front().ask(std::string_view{request}.substr(10)).status, 404U);
}

// Readers that take what they are given, but slowly, and hold all the memory for responses.
class response_without_room : public testing::Test {
protected:
  static constexpr std::size_t value_bytes = 200'000;
  static constexpr int small_receive_buffer = 4096;

  response_without_room() {
    friendly_.ask(put_request("a", std::string(value_bytes, 'v')));
    friendly_.ask(put_request("small", "b"));
  }

  void read_a_little() {
    for (raw_client& each : slow_) each.receive_some(4000);
  }

  http::server_options options_ = [] {
    http::server_options options;
    options.max_buffer_bytes = 1'000'000;
    options.send_buffer_bytes = 16'384;
    options.receive_buffer_bytes = 16'384;
    options.limits.max_value_chars = value_bytes;
    options.limits = options.limits.raised_for_characters();
    return options;
  }();
  test_server server_{options_};
  raw_client friendly_ = server_.connect();
  std::vector<raw_client> slow_;
};

TEST_F(response_without_room, waits_and_is_refused_on_a_connection_that_stays_open) {
  for (int i = 0; i < 8; ++i) {
    slow_.emplace_back(server_.port(), small_receive_buffer);
    slow_.back().send(get_request("/get?key=a"));
  }
  const std::uint64_t hits_of_others_at_most = slow_.size();
  EXPECT_TRUE(eventually(
      [&] { return server_.server().buffer_bytes() + value_bytes > options_.max_buffer_bytes; }));
  friendly_.send(get_request("/get?key=a"));
  while (friendly_.is_silent_for(milliseconds{20})) read_a_little();
  const http_reply refused = friendly_.read_reply();
  EXPECT_EQ(server_.counted().of(observe::event::connection_shed), 0U);
  ASSERT_EQ(refused.status, 503U);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_EQ(refused.body,
            R"({"status":"ERROR","message":"There is no memory to hold this response )"
            R"(at the moment: try again soon."})");
  EXPECT_LT(server_.counted().hits(), hits_of_others_at_most);
  EXPECT_EQ(friendly_.ask(get_request("/get?key=small")).status, 200U);
}

TEST_F(response_without_room, is_sent_when_the_other_peers_have_read_theirs) {
  for (int i = 0; i < 8; ++i) {
    slow_.emplace_back(server_.port());
    slow_.back().send(get_request("/get?key=a"));
  }
  for (raw_client& each : slow_) EXPECT_EQ(each.read_reply().status, 200U);
  EXPECT_EQ(friendly_.ask(get_request("/get?key=a")).status, 200U);
}

TEST_F(response_without_room, is_sent_if_no_other_peer_holds_one) {
  const std::size_t held = server_.server().buffer_bytes();
  server_.server().set_caps({.buffer_bytes = held + 10'000, .buffer_bytes_most = 1'000'000});
  EXPECT_EQ(friendly_.ask(get_request("/get?key=a")).status, 200U);
}

TEST(connection, offers_segments_of_which_several_fit_into_a_small_send_buffer) {
  http::server_options options;
  options.send_buffer_bytes = 16'384;
  test_server server{options};
  const raw_client client = server.connect();
  EXPECT_LE(client.segment_bytes(), options.send_buffer_bytes / 4);
}

TEST(connection, survives_resets_in_the_middle_of_everything) {
  test_server server;
  const std::string requests = put_request("a", "b") + get_request("/get?key=a");
  for (std::size_t split = 0; split < requests.size(); split += 7) {
    raw_client client = server.connect();
    client.send(std::string_view{requests}.substr(0, split));
    client.reset();
  }
  EXPECT_EQ(server.connect().ask(put_request("a", "b")).status, 200U);
  EXPECT_TRUE(eventually([&] { return server.counted().connections_now() == 0; }));
}

} // namespace
} // namespace kvcache::test
