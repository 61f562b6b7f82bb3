#include "server/server.hpp"

#include <gtest/gtest.h>

#include <boost/system/system_error.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/token_authorizer.hpp"
#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using std::chrono::milliseconds;

http::server_options with_threads(unsigned threads) {
  http::server_options options;
  options.threads = threads;
  options.timeouts.linger_timeout_ms =
      100; // these clients do not close when they have read the end
  return options;
}

TEST(server, refuses_a_port_that_is_in_use) {
  test_server first;
  cache store{cache_options{}};
  const coarse_clock clock;
  const http::endpoint_table endpoints{http::product_endpoints};
  observe::registry counters{1, endpoints.operations()};
  http::server_options options;
  options.port = first.port();
  EXPECT_THROW(http::server(options, endpoints, store, clock, {}, counters),
               boost::system::system_error);
}

// There is no 503 for a start: who comes too early waits in the kernel's queue.
TEST(server, answers_nothing_before_it_is_started_and_is_ready_with_its_first_answer) {
  cache store{cache_options{}};
  const coarse_clock clock;
  const http::endpoint_table endpoints{http::product_endpoints};
  observe::registry counters{1, endpoints.operations()};
  http::server server{with_threads(1), endpoints, store, clock, {}, counters};
  raw_client early{server.local_endpoint().port()};
  early.send(get_request("/readyz"));
  EXPECT_TRUE(early.is_silent_for(milliseconds{50}));
  server.start();
  EXPECT_EQ(early.read_reply().status, 200U);
}

TEST(server, takes_part_in_eviction_with_a_step_for_each_get_and_put_while_it_is_wanted) {
  std::atomic<bool> wanted{false};
  std::atomic<std::size_t> steps{0};
  http::server_services services;
  services.eviction = {.wanted = &wanted, .take_part = [&](std::size_t more) { steps += more; }};
  test_server server{with_threads(1), services};
  raw_client client = server.connect();
  // A batch ends after its answers are sent, and before the next request on the connection is read.
  const auto await_end_of_batch = [&] { client.ask(get_request("/healthz")); };
  client.ask(put_request("a", "1"));
  await_end_of_batch();
  EXPECT_EQ(steps, 0U);
  wanted = true;
  client.send(get_request("/get?key=a") + get_request("/get?key=b") + put_request("b", "2"));
  for (int reply = 0; reply < 3; ++reply) client.read_reply();
  await_end_of_batch();
  EXPECT_EQ(steps, 3U);
  await_end_of_batch();
  wanted = false;
  client.ask(get_request("/get?key=a"));
  await_end_of_batch();
  EXPECT_EQ(steps, 3U);
}

TEST(server, spreads_connections_evenly_over_its_workers) {
  cache store{cache_options{}};
  const coarse_clock clock;
  const http::endpoint_table endpoints{http::product_endpoints};
  observe::registry counters{4, endpoints.operations()};
  http::server_options options = with_threads(4);
  options.port = 0;
  http::server server{options, endpoints, store, clock, {}, counters};
  server.start();
  std::vector<raw_client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(server.local_endpoint().port());
    EXPECT_EQ(clients.back().ask(get_request("/get?key=a")).status, 404U);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    observe::counters_snapshot counted;
    counters.worker(i).add_to(counted);
    EXPECT_EQ(counted.of(observe::event::connection_opened), 10U);
  }
}

TEST(server, answers_503_to_a_connection_over_the_limit) {
  http::server_options options;
  options.max_connections = 2;
  test_server server{options};
  raw_client first = server.connect();
  raw_client second = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_EQ(second.ask(get_request("/get?key=a")).status, 404U);
  raw_client third = server.connect();
  const http_reply reply = third.ask(get_request("/get?key=a"));
  EXPECT_EQ(reply.status, 503U);
  EXPECT_EQ(reply.field("connection"), "close");
  EXPECT_EQ(reply.field("retry-after"), "1");
  EXPECT_TRUE(third.ends());
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_EQ(server.counted().of(observe::event::connection_refused), 1U);
}

// A server whose only connection is taken.
class full_server : public testing::Test {
protected:
  void start() {
    options_.max_connections = 1;
    server_.emplace(options_, services_);
    first_.emplace(server_->connect());
    EXPECT_EQ(first_->ask(get_request("/healthz")).status, 200U);
  }

  raw_client connect() { return server_->connect(); }

  std::uint64_t refused() { return server_->counted().of(observe::event::connection_refused); }

  http::server_options options_;
  http::server_services services_;
  std::optional<test_server> server_;
  std::optional<raw_client> first_;
};

TEST_F(full_server, answers_a_health_check_and_ends_the_connection) {
  services_.metrics = [] { return std::string{"metrics"}; };
  start();
  for (const std::string path : {"/healthz", "/readyz", "/metrics", "/metrics?a=b"}) {
    raw_client asking = connect();
    const http_reply reply = asking.ask(get_request(path));
    EXPECT_EQ(reply.status, 200U) << path;
    EXPECT_EQ(reply.field("connection"), "close") << path;
    EXPECT_TRUE(asking.ends()) << path;
    raw_client heading = connect();
    heading.send("HEAD " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(heading.read_reply(true).status, 200U) << path;
    EXPECT_TRUE(heading.ends()) << path;
  }
  EXPECT_EQ(refused(), 0U);
  EXPECT_EQ(server_->counted().of(observe::event::connection_opened), 1U);
}

TEST_F(full_server, answers_503_to_everything_else) {
  start();
  std::uint64_t asked = 0;
  for (const std::string& request :
       {get_request("/get?key=a"), get_request("/stats"), get_request("/nowhere"),
        put_request("a", "b"), post_request("/healthz", "x"),
        std::string{"OPTIONS /healthz HTTP/1.1\r\nHost: a\r\n\r\n"},
        std::string{"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"},
        std::string{"POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"},
        std::string{"POST /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 9\r\n\r\n"},
        std::string{"NONSENSE\r\n\r\n"}}) {
    raw_client peer = connect();
    const http_reply reply = peer.ask(request);
    EXPECT_EQ(reply.status, 503U) << request;
    EXPECT_EQ(reply.field("connection"), "close") << request;
    EXPECT_EQ(reply.field("retry-after"), "1") << request;
    EXPECT_TRUE(peer.ends()) << request;
    EXPECT_EQ(refused(), ++asked) << request;
  }
  EXPECT_EQ(server_->store().size(), 0U);
}

TEST_F(full_server, answers_one_request_of_a_pipeline_only) {
  start();
  raw_client peer = connect();
  peer.send(get_request("/healthz") + put_request("a", "b"));
  EXPECT_EQ(peer.read_reply().status, 200U);
  EXPECT_TRUE(peer.ends());
  EXPECT_EQ(server_->store().size(), 0U);
}

TEST_F(full_server, waits_for_a_request_for_the_health_timeout_only) {
  options_.timeouts.health_timeout_ms = 200;
  start();
  raw_client silent = connect();
  raw_client trickling = connect();
  trickling.send("GET /healthz HTTP/1.1\r\n");
  bool open = true; // further bytes do not extend it
  while (open && trickling.is_silent_for(milliseconds{10})) open = trickling.send("A: b\r\n");
  EXPECT_EQ(trickling.read_reply().status, 503U);
  EXPECT_EQ(silent.read_reply().status, 503U);
  EXPECT_TRUE(silent.ends());
}

TEST_F(full_server, rejects_further_connections_without_reading_a_request) {
  options_.health_connections = 2;
  options_.timeouts.health_timeout_ms = 60'000;
  start();
  std::optional<raw_client> silent{connect()};
  const raw_client silent_too = connect();
  EXPECT_EQ(connect().read_reply().status, 503U);
  silent.reset();
  const auto answers = [&] { return connect().ask(get_request("/healthz")).status == 200; };
  while (!answers()) std::this_thread::yield();
}

// Clients that leak connections do not end those that the server has shut down.
TEST_F(full_server, answers_health_checks_while_peers_stay_after_their_response) {
  options_.health_connections = 1;
  options_.refused_connections = 8;
  start();
  std::vector<raw_client> leaked;
  for (int i = 0; i < 20; ++i) {
    leaked.push_back(connect());
    EXPECT_EQ(leaked.back().ask(get_request("/get?key=a")).status, 503U) << i;
    EXPECT_EQ(connect().ask(get_request("/healthz")).status, 200U) << i;
  }
}

TEST_F(full_server, requires_a_token_for_its_metrics) {
  const http::token_authorizer tokens{{{"reader", http::permission::read}}};
  services_.authorization = &tokens;
  services_.metrics = [] { return std::string{"metrics"}; };
  start();
  EXPECT_EQ(connect().ask(get_request("/metrics")).status, 401U);
  EXPECT_EQ(connect().ask(get_request("/metrics", "Authorization: Bearer reader\r\n")).status,
            200U);
  EXPECT_EQ(connect().ask(get_request("/healthz")).status, 200U);
}

TEST(server, accepts_connections_again_when_others_have_closed) {
  http::server_options options;
  options.max_connections = 1;
  test_server server{options};
  { EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 404U); }
  while (server.counted().connections_now() != 0) std::this_thread::yield();
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 404U);
}

TEST(server, follows_caps_that_change_while_it_runs) {
  test_server server;
  raw_client first = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  EXPECT_EQ(server.server().connection_count(), 1U);

  server.server().set_caps({.connections_most = 1});
  EXPECT_EQ(server.server().connections_most(), 1U);
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 503U);
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);

  server.server().set_caps({.connections_most = 2});
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 404U);

  server.server().set_caps({.buffer_bytes = 16'384, .buffer_bytes_most = 1'000'000});
  raw_client large = server.connect();
  EXPECT_EQ(large.ask(post_request("/put", std::string(16'000, ' '))).status, 503U);
  server.server().set_caps({});
  EXPECT_EQ(server.connect().ask(post_request("/put", std::string(16'000, ' '))).status, 400U);
}

constexpr unsigned a_day_ms = 86'400'000; // longer than any test may take

TEST(server, delays_connections_until_there_is_memory_for_them) {
  http::server_options options;
  options.timeouts.accept_wait_ms = a_day_ms;
  test_server server{options};
  raw_client first = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  server.server().set_caps({.connections_most = 10, .connections_now = 1});
  raw_client second = server.connect();
  second.send(get_request("/get?key=a"));
  EXPECT_TRUE(second.is_silent_for(milliseconds{100})); // it is in the kernel's queue
  EXPECT_EQ(server.server().connection_count(), 1U);
  server.server().set_caps({.connections_most = 10, .connections_now = 2});
  EXPECT_EQ(second.read_reply().status, 404U);
}

TEST(server, answers_health_checks_while_there_is_no_memory_for_connections) {
  http::server_options options;
  options.timeouts.accept_wait_ms = 50;
  test_server server{options};
  raw_client first = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  server.server().set_caps({.connections_most = 10, .connections_now = 1});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(server.connect().ask(get_request("/healthz")).status, 200U);
    const http_reply other = server.connect().ask(get_request("/get?key=a"));
    EXPECT_EQ(other.status, 503U);
    EXPECT_EQ(other.field("retry-after"), "1");
  }
  EXPECT_EQ(server.server().connection_count(), 1U);
  server.server().set_caps({.connections_most = 10, .connections_now = 2});
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 404U);
}

TEST(server, serves_peers_that_wait_for_memory_when_it_drains) {
  http::server_options options;
  options.timeouts.accept_wait_ms = a_day_ms;
  test_server server{options};
  raw_client first = server.connect();
  EXPECT_EQ(first.ask(get_request("/get?key=a")).status, 404U);
  server.server().set_caps({.connections_most = 10, .connections_now = 1});
  raw_client second = server.connect();
  second.send(get_request("/get?key=a"));
  server.server().begin_drain();
  EXPECT_EQ(second.read_reply().status, 404U);
}

TEST(server, ends_at_once_when_it_drains_without_connections) {
  test_server server{with_threads(3)};
  server.server().begin_drain();
  server.server().wait();
  EXPECT_THROW(server.connect(), std::system_error);
}

TEST(server, reports_not_ready_and_still_accepts_during_the_drain_delay) {
  http::server_options options = with_threads(2);
  options.drain_delay_ms = a_day_ms - 1; // the test would not see its end
  options.drain_timeout_ms = a_day_ms;
  test_server server{options};
  EXPECT_EQ(server.connect().ask(get_request("/readyz")).status, 200U);
  server.server().begin_drain();
  raw_client late = server.connect();
  EXPECT_EQ(late.ask(get_request("/readyz")).status, 503U);
  EXPECT_EQ(late.ask(put_request("a", "b")).status, 200U);
  server.server().stop();
  server.server().wait();
}

TEST(server, ends_when_it_is_stopped_repeatedly) {
  test_server server{with_threads(2)};
  raw_client idle = server.connect();
  EXPECT_EQ(idle.ask(get_request("/healthz")).status, 200U);
  server.server().begin_drain();
  std::atomic<bool> ended{false};
  std::thread impatient{[&] {
    while (!ended) {
      server.server().stop();
      std::this_thread::yield();
    }
  }};
  server.server().wait();
  ended = true;
  impatient.join();
}

TEST(server, announces_the_close_in_the_final_response_of_a_drained_connection) {
  test_server server{with_threads(1)};
  raw_client client = server.connect();
  EXPECT_FALSE(client.ask(put_request("a", "b")).has("connection"));
  server.server().begin_drain();
  http_reply last; // the worker hears of it a moment later
  while (!last.has("connection")) last = client.ask(get_request("/get?key=a"));
  EXPECT_EQ(last.status, 200U);
  EXPECT_EQ(last.field("connection"), "close");
  EXPECT_TRUE(client.ends());
  server.server().wait();
}

TEST(server, answers_a_request_that_was_incomplete_when_the_drain_began) {
  test_server server{with_threads(1)};
  raw_client client = server.connect();
  const std::string request = put_request("a", "b");
  client.send(std::string_view{request}.substr(0, 30));
  server.server().begin_drain();
  EXPECT_TRUE(client.is_silent_for(milliseconds{700})); // longer than an idle one would be kept
  EXPECT_EQ(client.ask(std::string_view{request}.substr(30)).status, 200U);
  EXPECT_TRUE(client.ends());
  server.server().wait();
  EXPECT_EQ(server.store().size(), 1U);
}

TEST(server, ends_within_the_drain_timeout_whatever_the_peers_do) {
  http::server_options options;
  options.drain_timeout_ms = 200;
  options.timeouts.head_timeout_ms = a_day_ms;
  options.timeouts.idle_timeout_ms = a_day_ms;
  test_server server{options};
  raw_client half = server.connect();
  half.send("GET /get");
  raw_client idle = server.connect();
  server.server().begin_drain();
  server.server().wait();
  EXPECT_TRUE(idle.ends());
}

// Each client sends two requests in one packet, so that the server has both or none, and the next
// two when it has read both replies.
TEST(server, drops_no_accepted_request_when_it_drains_under_load) {
  test_server server{with_threads(2)};
  constexpr int clients = 8;
  const std::string both = get_request("/get?key=a") + get_request("/get?key=b");
  std::atomic<int> running{0};
  std::atomic<int> dropped{0};
  std::atomic<std::uint64_t> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&] {
      raw_client client = server.connect();
      bool last = false;
      try {
        for (bool first_time = true; !last; first_time = false) {
          client.send(both);
          const http_reply first = client.read_reply();
          ++answered;
          if (first.has("connection")) ++dropped; // the second is not answered then
          last = client.read_reply().has("connection");
          ++answered;
          if (first_time) ++running;
        }
        if (!client.ends()) ++dropped;
      } catch (const std::exception&) {
        ++dropped;
      }
    });
  while (running < clients && dropped == 0) std::this_thread::yield();
  server.server().begin_drain();
  for (std::thread& each : threads) each.join();
  server.server().wait();
  EXPECT_EQ(dropped, 0);
  EXPECT_EQ(answered, server.counted().gets());
}

TEST(server, stops_at_once) {
  test_server server{with_threads(2)};
  raw_client idle = server.connect();
  raw_client half = server.connect();
  half.send("GET /get");
  EXPECT_EQ(idle.ask(get_request("/get?key=a")).status, 404U);
  server.server().begin_drain();
  server.server().stop();
  server.server().wait();
}

TEST(server, reports_its_end_once) {
  cache store{cache_options{}};
  const coarse_clock clock;
  const http::endpoint_table endpoints{http::product_endpoints};
  observe::registry counters{3, endpoints.operations()};
  http::server_options options = with_threads(3);
  options.port = 0;
  std::atomic<int> ended{0};
  http::server server{options, endpoints, store, clock, {}, counters};
  server.start([&] { ++ended; });
  EXPECT_EQ(ended, 0);
  server.begin_drain();
  server.wait();
  EXPECT_EQ(ended, 1);
}

} // namespace
} // namespace kvcache::test
