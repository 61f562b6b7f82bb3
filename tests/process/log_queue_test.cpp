#include "process/log_queue.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/pattern_formatter.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>

#include "support/full_pipe.hpp"

namespace kvcache::config {
namespace {

constexpr auto info = spdlog::level::info;

std::unique_ptr<spdlog::formatter> plain() {
  return std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, "\n");
}

// The abandoned thread gets EPIPE once the pipe is closed.
class log_queue_test : public testing::Test {
protected:
  log_queue_test() { std::signal(SIGPIPE, SIG_IGN); }
};

TEST_F(log_queue_test, is_destroyed_in_bounded_time_although_the_pipe_is_full) {
  const test::full_pipe pipe;
  log_queue log{"test", 8, make_descriptor_sink(pipe.writing_end()), plain()};
  for (int i = 0; i < 100; ++i) log.write(info, "line");
  // The writer holds at most one line, and eight are queued.
  EXPECT_GE(log.dropped_lines(), 91U);
}

TEST_F(log_queue_test, is_destroyed_in_bounded_time_although_a_non_blocking_pipe_is_full) {
  const test::full_pipe pipe;
  ASSERT_EQ(fcntl(pipe.writing_end(), F_SETFL, O_NONBLOCK), 0);
  log_queue log{"test", 8, make_descriptor_sink(pipe.writing_end()), plain()};
  log.write(info, "line");
}

TEST_F(log_queue_test, leaves_the_blocking_mode_of_the_descriptor_unchanged) {
  const test::full_pipe pipe;
  const int before = fcntl(pipe.writing_end(), F_GETFL);
  {
    log_queue log{"test", 8, make_descriptor_sink(pipe.writing_end()), plain()};
    log.write(info, "line");
  }
  EXPECT_EQ(fcntl(pipe.writing_end(), F_GETFL), before);
}

TEST_F(log_queue_test, writes_all_queued_lines_before_destruction) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  {
    log_queue log{"test", 100, make_descriptor_sink(ends[1]), plain()};
    for (int i = 0; i < 100; ++i) log.write(info, std::to_string(i));
    log.set_level(spdlog::level::warn);
    log.write(info, "below its level");
  }
  close(ends[1]);
  std::string all;
  std::array<char, 256> piece{};
  for (ssize_t got = 0; (got = read(ends[0], piece.data(), piece.size())) > 0;)
    all.append(piece.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  EXPECT_TRUE(all.starts_with("0\n1\n")) << all;
  EXPECT_TRUE(all.ends_with("98\n99\n")) << all;
}

TEST_F(log_queue_test, counts_failed_writes_as_dropped_lines) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  {
    log_queue log{"test", 100, make_descriptor_sink(full), plain()};
    for (int i = 0; i < 3; ++i) log.write(info, "line");
    while (log.dropped_lines() < 3) {
    }
    EXPECT_EQ(log.dropped_lines(), 3U);
  }
  close(full); // the thread of the queue may write until here
}

} // namespace
} // namespace kvcache::config
