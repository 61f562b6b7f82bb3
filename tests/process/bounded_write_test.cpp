#include "process/bounded_write.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "support/full_pipe.hpp"

namespace kvcache::config {
namespace {

using namespace std::chrono_literals;

TEST(bounded_write, times_out_on_a_full_pipe) {
  const test::full_pipe pipe;
  EXPECT_EQ(write_within(1ms, pipe.writing_end(), "text"), std::errc::timed_out);
}

TEST(bounded_write, times_out_on_a_full_non_blocking_pipe) {
  const test::full_pipe pipe;
  ASSERT_EQ(fcntl(pipe.writing_end(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(write_within(1ms, pipe.writing_end(), "text"), std::errc::timed_out);
}

TEST(bounded_write, works_with_sigalrm_blocked_and_restores_the_mask) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &alarm, nullptr), 0);
  const test::full_pipe pipe;
  EXPECT_EQ(write_within(1ms, pipe.writing_end(), "text"), std::errc::timed_out);
  sigset_t now;
  pthread_sigmask(SIG_UNBLOCK, &alarm, &now);
  EXPECT_EQ(sigismember(&now, SIGALRM), 1);
}

TEST(bounded_write, writes_the_whole_text) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  EXPECT_FALSE(write_within(10s, ends[1], "within "));
  EXPECT_FALSE(write_all(ends[1], "all"));
  std::array<char, 32> got{};
  EXPECT_EQ(read(ends[0], got.data(), got.size()), 10);
  EXPECT_STREQ(got.data(), "within all");
  for (const int end : ends) close(end);
}

TEST(bounded_write, returns_the_error_of_the_write) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(write_all(full, "text"), std::errc::no_space_on_device);
  EXPECT_EQ(write_within(10s, full, "text"), std::errc::no_space_on_device);
  close(full);
  EXPECT_EQ(write_all(-1, "text"), std::errc::bad_file_descriptor);
}

} // namespace
} // namespace kvcache::config
