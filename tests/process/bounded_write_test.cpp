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

TEST(bounded_write, gives_up_on_a_reader_that_does_not_read) {
  const test::full_pipe pipe;
  EXPECT_EQ(write_within(1ms, pipe.writing_end(), "text"), std::errc::timed_out);
}

TEST(bounded_write, gives_up_on_a_full_non_blocking_pipe_too) {
  const test::full_pipe pipe;
  ASSERT_EQ(fcntl(pipe.writing_end(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(write_within(1ms, pipe.writing_end(), "text"), std::errc::timed_out);
}

TEST(bounded_write, works_where_the_alarm_is_blocked_and_leaves_it_so) {
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

TEST(bounded_write, writes_a_text_whole) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  EXPECT_FALSE(write_within(10s, ends[1], "within "));
  EXPECT_FALSE(write_all(ends[1], "all"));
  std::array<char, 32> got{};
  EXPECT_EQ(read(ends[0], got.data(), got.size()), 10);
  EXPECT_STREQ(got.data(), "within all");
  for (const int end : ends) close(end);
}

TEST(bounded_write, returns_the_error_that_kept_it_from_writing) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(write_all(full, "text"), std::errc::no_space_on_device);
  EXPECT_EQ(write_within(10s, full, "text"), std::errc::no_space_on_device);
  close(full);
  EXPECT_EQ(write_all(-1, "text"), std::errc::bad_file_descriptor);
}

} // namespace
} // namespace kvcache::config
