#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <latch>
#include <string>

#include "api/snapshot_maker.hpp"
#include "support/test_server.hpp"

namespace kvcache::http {
namespace {

using test::get_request;
using test::post_request;
using test::test_server;

class fake_maker final : public snapshot_maker {
public:
  bool configured() const noexcept override { return has_file; }
  snapshot_outcome make() noexcept override {
    ++made;
    return outcome;
  }

  bool has_file = true;
  snapshot_outcome outcome{0, 3, 456};
  std::atomic<int> made{0};
};

class snapshot_on_request : public testing::Test {
protected:
  test::http_reply ask(bool enabled = true) {
    server_options options;
    options.enable_snapshot = enabled;
    server_services services;
    services.snapshots = &maker;
    test_server server{options, services};
    return server.connect().ask(post_request("/snapshot", ""));
  }
  test::http_reply ask_with(int error) {
    maker.outcome = {.error = error};
    return ask();
  }

  fake_maker maker;
};

TEST_F(snapshot_on_request, tells_how_much_was_written) {
  const auto reply = ask();
  EXPECT_EQ(reply.status, 200U);
  EXPECT_EQ(reply.body, R"({"status":"OK","message":"Snapshot written.","entries":3,"bytes":456})");
  EXPECT_EQ(maker.made, 1);
}

TEST_F(snapshot_on_request, is_forbidden_unless_it_is_enabled_whatever_else_is_missing) {
  maker.has_file = false;
  EXPECT_EQ(ask(false).status, 403U);
  EXPECT_EQ(ask(true).status, 409U);
  EXPECT_EQ(maker.made, 0);
}

TEST_F(snapshot_on_request, is_allowed_by_a_token_that_may_write) {
  const token_authorizer tokens{{{"r", permission::read}, {"w", permission::write}}};
  server_services services;
  services.snapshots = &maker;
  services.authorization = &tokens;
  test_server server{{}, services};
  auto client = server.connect();
  EXPECT_EQ(client.ask(post_request("/snapshot", "")).status, 401U);
  EXPECT_EQ(client.ask(post_request("/snapshot", "", "Authorization: Bearer r\r\n")).status, 403U);
  EXPECT_EQ(client.ask(post_request("/snapshot", "", "Authorization: Bearer w\r\n")).status, 200U);
}

TEST_F(snapshot_on_request, conflicts_with_another_one_under_way) {
  const auto reply = ask_with(EBUSY);
  EXPECT_EQ(reply.status, 409U);
  EXPECT_NE(reply.body.find("Another snapshot"), std::string::npos);
}

TEST_F(snapshot_on_request, tells_why_it_failed) {
  EXPECT_EQ(ask_with(ENOSPC).status, 507U);
  EXPECT_EQ(ask_with(EDQUOT).status, 507U);
  const auto reply = ask_with(EACCES);
  EXPECT_EQ(reply.status, 500U);
  EXPECT_EQ(reply.body,
            R"({"status":"ERROR","message":"The snapshot could not be written; the earlier one is )"
            R"(unchanged. Cause: Permission denied."})");
}

TEST_F(snapshot_on_request, keeps_the_connection_open_and_counts_each_answer) {
  maker.outcome = {.error = EIO};
  server_options options;
  options.enable_snapshot = true;
  server_services services;
  services.snapshots = &maker;
  test_server server{options, services};
  auto client = server.connect();
  EXPECT_EQ(client.ask(post_request("/snapshot", "")).status, 500U);
  EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
  EXPECT_EQ(server.responses("snapshot", 500), 1U);
}

TEST_F(snapshot_on_request, does_not_keep_other_requests_waiting_and_neither_does_it_a_flush) {
  class waiting final : public snapshot_maker {
  public:
    bool configured() const noexcept override { return true; }
    snapshot_outcome make() noexcept override {
      begun.count_down();
      goes_on.wait();
      return {};
    }
    std::latch begun{1};
    std::latch goes_on{1};
  } slow;
  server_options options;
  options.enable_snapshot = options.enable_flush = true;
  server_services services;
  services.snapshots = &slow;
  test_server server{options, services};
  auto client = server.connect();
  client.send(post_request("/snapshot", ""));
  slow.begun.wait();
  auto other = server.connect();
  EXPECT_EQ(other.ask(get_request("/healthz")).status, 200U);
  EXPECT_EQ(other.ask(post_request("/flush", "")).status, 200U);
  slow.goes_on.count_down();
  EXPECT_EQ(client.read_reply().status, 200U);
}

TEST(readyz, tells_what_is_left_to_load_and_is_healthy_all_the_while) {
  std::string left = "40 %";
  server_services services;
  services.unready = [&] { return left; };
  test_server server{{}, services};
  auto client = server.connect();
  const auto reply = client.ask(get_request("/readyz"));
  EXPECT_EQ(reply.status, 503U);
  EXPECT_EQ(reply.body,
            R"({"status":"ERROR","message":"The snapshot is being loaded: 40 % of the file."})");
  EXPECT_EQ(client.ask(get_request("/healthz")).status, 200U);
  left = "";
  EXPECT_EQ(client.ask(get_request("/readyz")).status, 200U);
}

} // namespace
} // namespace kvcache::http
