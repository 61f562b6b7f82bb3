#include "process/service_notifier.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <ctime>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "support/service_manager.hpp"

namespace kvcache::config {
namespace {

using test::notify_socket;

// CLOCK_MONOTONIC in microseconds, from the kernel.
std::int64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

class notifications : public testing::Test {
protected:
  logging& log() { return *log_; }

  // Everything that was logged. REQUIRES: the notifier is destroyed, or logs no more.
  std::string logged() {
    log_.reset();
    return lines_.str();
  }

private:
  std::ostringstream lines_;
  std::optional<logging> log_{std::in_place, log_level::debug, log_format::text,
                              std::make_shared<spdlog::sinks::ostream_sink_st>(lines_)};
};

TEST_F(notifications, reports_each_state_in_a_message_of_its_own) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  notifier.ready();
  notifier.status("serving on 127.0.0.1:7171");
  notifier.keep_alive();
  notifier.stopping();
  EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_EQ(manager.receive(), "STATUS=serving on 127.0.0.1:7171");
  EXPECT_EQ(manager.receive(), "WATCHDOG=1");
  EXPECT_EQ(manager.receive(), "STOPPING=1");
  EXPECT_TRUE(manager.is_empty());
  EXPECT_EQ(logged(), "");
}

TEST_F(notifications, reports_the_time_of_a_reload) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  const std::int64_t before = monotonic_us();
  notifier.reloading();
  const std::int64_t after = monotonic_us();
  const std::string message = manager.receive();
  const std::string begin = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_TRUE(message.starts_with(begin)) << message;
  const std::int64_t time = std::stoll(message.substr(begin.size()));
  EXPECT_GE(time, before);
  EXPECT_LE(time, after);
}

TEST_F(notifications, reaches_a_socket_at_a_path) {
  notify_socket manager{testing::TempDir() + "notify." + std::to_string(getpid())};
  service_notifier notifier{manager.name(), log()};
  notifier.ready();
  EXPECT_EQ(manager.receive(), "READY=1");
}

TEST_F(notifications, is_not_ready_again_once_it_stops) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  notifier.stopping();
  notifier.reloading();
  notifier.ready();
  notifier.stopping();
  EXPECT_EQ(manager.receive(), "STOPPING=1");
  EXPECT_TRUE(manager.is_empty());
}

TEST_F(notifications, sends_a_status_as_one_line) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  notifier.status("two\nREADY=1");
  EXPECT_EQ(manager.receive(), R"(STATUS=two\x0aREADY=1)");
}

TEST_F(notifications, keeps_states_in_order_while_the_queue_of_the_manager_is_full) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  const int full = manager.fill();
  notifier.reloading();
  notifier.keep_alive(); // a later one is as good
  notifier.retry();
  EXPECT_EQ(manager.receive(), "x");
  notifier.ready(); // the queue has place for one message
  for (int i = 1; i < full; ++i) EXPECT_EQ(manager.receive(), "x");
  notifier.retry();
  EXPECT_TRUE(manager.receive().starts_with("RELOADING=1\n"));
  EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_TRUE(manager.is_empty());
  EXPECT_EQ(logged(), "");
}

TEST_F(notifications, does_not_gather_states_for_a_manager_that_never_reads) {
  notify_socket manager;
  service_notifier notifier{manager.name(), log()};
  const int full = manager.fill();
  for (int i = 0; i < 1000; ++i) notifier.ready();
  for (int i = 0; i < full; ++i) EXPECT_EQ(manager.receive(), "x");
  int kept = 0;
  for (; notifier.retry(), !manager.is_empty(); ++kept) EXPECT_EQ(manager.receive(), "READY=1");
  EXPECT_EQ(kept, 16);
}

TEST_F(notifications, warns_once_of_a_manager_that_it_does_not_reach) {
  {
    service_notifier notifier{"@nobody.listens.here", log()};
    notifier.ready();
    notifier.status("serving");
    notifier.stopping();
  }
  const std::string text = logged();
  EXPECT_NE(text.find("@nobody.listens.here (NOTIFY_SOCKET): sendto: Connection refused"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("NOTIFY_SOCKET"), text.rfind("NOTIFY_SOCKET")) << text;
}

TEST_F(notifications, does_nothing_without_a_manager) {
  {
    service_notifier notifier{"", log()};
    EXPECT_FALSE(notifier.is_enabled());
    notifier.ready();
    notifier.reloading();
    notifier.status("serving");
    notifier.keep_alive();
    notifier.retry();
    notifier.stopping();
  }
  EXPECT_EQ(logged(), "");
}

} // namespace
} // namespace kvcache::config
