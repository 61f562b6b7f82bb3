#include "process/signal_waiter.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace kvcache::config {
namespace {

using namespace std::chrono_literals;
using event = signal_waiter::event;

TEST(signal_waiter, hands_out_each_signal_as_what_it_means) {
  signal_waiter waiter;
  kill(getpid(), SIGTERM);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  kill(getpid(), SIGINT);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  kill(getpid(), SIGHUP);
  EXPECT_EQ(waiter.wait(10s), event::reload);
}

TEST(signal_waiter, tells_when_the_time_has_passed) {
  signal_waiter waiter;
  EXPECT_EQ(waiter.wait(0ms), event::nothing);
}

TEST(signal_waiter, can_be_woken_by_another_thread_before_and_while_it_waits) {
  signal_waiter waiter;
  waiter.wake();
  waiter.wake();
  EXPECT_EQ(waiter.wait(10s), event::woken);
  EXPECT_EQ(waiter.wait(0ms), event::nothing);
  std::thread other{[&waiter] { waiter.wake(); }};
  EXPECT_EQ(waiter.wait(10s), event::woken);
  other.join();
}

TEST(signal_waiter, hands_out_signals_before_wakes) {
  signal_waiter waiter;
  waiter.wake();
  kill(getpid(), SIGTERM);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  EXPECT_EQ(waiter.wait(10s), event::woken);
}

} // namespace
} // namespace kvcache::config
