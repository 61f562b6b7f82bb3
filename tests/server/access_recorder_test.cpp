#include "server/access_recorder.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/test_server.hpp"

namespace kvcache::test {
namespace {

using namespace std::chrono_literals;

// A copy of what the views of a record showed.
struct kept_record {
  std::string peer;
  http::access_record record;
};

class kept_log final : public http::access_log {
public:
  void write(const http::access_record& record) noexcept override {
    const std::lock_guard lock{mutex_};
    records_.push_back({std::string{record.peer}, record});
    records_.back().record.peer = {};
  }
  std::vector<kept_record> records() const {
    const std::lock_guard lock{mutex_};
    return records_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<kept_record> records_;
};

constexpr int no_socket = -1;
constexpr std::string_view reply = "HTTP/1.1 404 Not Found\r\n\r\n";

TEST(access_recorder, writes_its_records_at_the_end_of_the_batch) {
  kept_log log;
  http::access_recorder recorder{log, 1};
  recorder.batch_begin();
  recorder.note(no_socket, http::method::get, "/get", reply);
  EXPECT_TRUE(log.records().empty());
  recorder.batch_end(7us);
  ASSERT_EQ(log.records().size(), 1U);
  const http::access_record told = log.records()[0].record;
  EXPECT_EQ(told.verb, http::method::get);
  EXPECT_EQ(told.status, 404U);
  EXPECT_EQ(told.sent_bytes, reply.size());
  EXPECT_EQ(told.took, 7us);
}

TEST(access_recorder, writes_a_response_outside_of_a_batch_at_once_and_without_a_duration) {
  kept_log log;
  http::access_recorder recorder{log, 1};
  recorder.note(no_socket, http::method::post, "/flush", reply);
  ASSERT_EQ(log.records().size(), 1U);
  EXPECT_EQ(log.records()[0].record.took, std::nullopt);
}

TEST(access_recorder, writes_only_paths_of_endpoints) {
  kept_log log;
  http::server_services services;
  services.access = &log;
  {
    test_server server{{}, services};
    raw_client client = server.connect();
    client.ask(get_request("/get?key=a"));
    client.ask(get_request("/get/a-key"));
    client.ask(get_request("/a-key"));
  }
  ASSERT_EQ(log.records().size(), 3U);
  EXPECT_EQ(log.records()[0].record.path, "/get");
  EXPECT_EQ(log.records()[1].record.path, "");
  EXPECT_EQ(log.records()[2].record.path, "");
}

TEST(access_recorder, writes_the_first_of_every_so_many_requests) {
  kept_log log;
  http::access_recorder recorder{log, 3};
  for (const auto* path : {"/get", "/put", "/put", "/stats", "/put", "/put", "/flush"})
    recorder.note(no_socket, http::method::get, path, reply);
  ASSERT_EQ(log.records().size(), 3U);
  EXPECT_EQ(log.records()[0].record.path, "/get");
  EXPECT_EQ(log.records()[1].record.path, "/stats");
  EXPECT_EQ(log.records()[2].record.path, "/flush");
}

TEST(access_recorder, writes_all_records_of_a_batch_that_is_longer_than_it_can_keep) {
  kept_log log;
  http::access_recorder recorder{log, 1};
  recorder.batch_begin();
  for (std::size_t i = 0; i <= http::access_recorder::records_max; ++i)
    recorder.note(no_socket, http::method::get, "/get", reply);
  recorder.batch_end(1us);
  ASSERT_EQ(log.records().size(), http::access_recorder::records_max + 1);
  EXPECT_EQ(log.records().front().record.took, std::nullopt);
  EXPECT_EQ(log.records().back().record.took, 1us);
}

// ---- in a server

TEST(access_log, has_each_answered_request_whatever_its_status) {
  kept_log log;
  http::server_options options;
  options.enable_flush = true;
  http::server_services services;
  services.access = &log;
  {
    test_server server{options, services};
    raw_client client = server.connect();
    client.ask(put_request("a", "b"));
    client.ask(get_request("/get?key=a") + get_request("/get?key=none"));
    client.read_reply();
    client.ask("OPTIONS /put HTTP/1.1\r\nHost: a\r\n\r\n");
    client.ask("POST /flush HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    client.ask(
        "POST /get HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    server.connect().ask("nonsense\r\n\r\n");
  }
  struct expected {
    http::method verb;
    std::string_view path;
    unsigned status;
  };
  const std::vector<expected> all{
      {http::method::post, "/put", 200},   {http::method::get, "/get", 200},
      {http::method::get, "/get", 404},    {http::method::options, "/put", 204},
      {http::method::post, "/flush", 200}, {http::method::post, "/get", 405},
      {http::method::other, "", 400},
  };
  const auto told = log.records();
  ASSERT_EQ(told.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(told[i].record.verb, all[i].verb) << i;
    EXPECT_EQ(told[i].record.path, all[i].path) << i;
    EXPECT_EQ(told[i].record.status, all[i].status) << i;
    EXPECT_GT(told[i].record.sent_bytes, 15U) << i;
    EXPECT_EQ(told[i].record.took.has_value(), all[i].path != "/flush") << i;
  }
  EXPECT_EQ(told[0].peer.rfind("127.0.0.1:", 0), 0U) << told[0].peer;
  EXPECT_EQ(told[0].peer, told[5].peer);
  EXPECT_NE(told[0].peer, told[6].peer);
  EXPECT_EQ(told[1].record.took, told[2].record.took) << "received together";
}

TEST(access_log, counts_its_sample_in_each_worker) {
  kept_log log;
  http::server_options options;
  options.access_log_sample = 10;
  http::server_services services;
  services.access = &log;
  {
    test_server server{options, services};
    raw_client client = server.connect();
    for (int i = 0; i < 100; ++i) client.ask(get_request("/get?key=a"));
  }
  EXPECT_EQ(log.records().size(), 10U);
}

TEST(access_log, has_the_rejection_of_a_connection_over_the_limit) {
  kept_log log;
  http::server_options options;
  options.max_connections = 1;
  http::server_services services;
  services.access = &log;
  test_server server{options, services};
  raw_client first = server.connect();
  first.ask(get_request("/healthz"));
  EXPECT_EQ(server.connect().ask(get_request("/get?key=a")).status, 503U);
  while (log.records().size() < 2) std::this_thread::yield(); // the client has its answer first
  EXPECT_EQ(log.records()[1].record.status, 503U);
  EXPECT_EQ(log.records()[1].record.path, "/get");
}

TEST(access_log, has_the_method_of_a_request_that_timed_out_and_not_of_the_previous_one) {
  kept_log log;
  http::server_options options;
  options.timeouts.body_timeout_ms = 100;
  http::server_services services;
  services.access = &log;
  test_server server{options, services};
  raw_client client = server.connect();
  client.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.read_reply(true).status, 200U);
  client.send("POST /put HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 408U);
  while (log.records().size() < 2) std::this_thread::yield();
  EXPECT_EQ(log.records()[1].record.verb, http::method::post);
}

// The latencies of requests sent one by one, of which the same ones are drawn in each server.
std::pair<std::uint64_t, std::uint64_t> latencies_counted(http::access_log* log) {
  constexpr int requests = 200;
  http::server_services services;
  services.access = log;
  test_server server{{}, services};
  raw_client client = server.connect();
  for (int i = 0; i < requests; ++i) {
    EXPECT_EQ(client.ask(put_request("a", "b")).status, 200U);
    EXPECT_EQ(client.ask(get_request("/get?key=a")).status, 200U);
  }
  client.ask(get_request("/healthz")); // the batches before it have ended
  const observe::counters_snapshot counted = server.counted();
  return {counted.get_latency.count(), counted.put_latency.count()};
}

TEST(access_log, does_not_change_the_number_of_latencies) {
  kept_log log;
  const auto without = latencies_counted(nullptr);
  EXPECT_GT(without.first, 0U);
  EXPECT_GT(without.second, 0U);
  EXPECT_EQ(latencies_counted(&log), without);
}

} // namespace
} // namespace kvcache::test
