#include "process/signal_waiter.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace kvcache::config {
namespace {

using namespace std::chrono_literals;
using event = signal_waiter::event;

TEST(signal_waiter, returns_the_event_of_each_signal) {
  signal_waiter waiter;
  kill(getpid(), SIGTERM);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  kill(getpid(), SIGINT);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  kill(getpid(), SIGHUP);
  EXPECT_EQ(waiter.wait(10s), event::reload);
}

TEST(signal_waiter, returns_nothing_at_the_timeout) {
  signal_waiter waiter;
  EXPECT_EQ(waiter.wait(0ms), event::nothing);
}

TEST(signal_waiter, is_woken_by_another_thread_before_and_during_a_wait) {
  signal_waiter waiter;
  waiter.wake();
  waiter.wake();
  EXPECT_EQ(waiter.wait(10s), event::woken);
  EXPECT_EQ(waiter.wait(0ms), event::nothing);
  std::thread other{[&waiter] { waiter.wake(); }};
  EXPECT_EQ(waiter.wait(10s), event::woken);
  other.join();
}

TEST(signal_waiter, returns_signals_before_wakes) {
  signal_waiter waiter;
  waiter.wake();
  kill(getpid(), SIGTERM);
  EXPECT_EQ(waiter.wait(10s), event::stop);
  EXPECT_EQ(waiter.wait(10s), event::woken);
}

} // namespace
} // namespace kvcache::config
