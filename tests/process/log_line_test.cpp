#include "process/log_line.hpp"

#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>

#include <chrono>
#include <string>
#include <string_view>

namespace kvcache::config {
namespace {

std::string line(log_format format, spdlog::level::level_enum level, std::string_view text) {
  using namespace std::chrono;
  const spdlog::log_clock::time_point when{milliseconds{1'769'860'800'045}};
  const spdlog::details::log_msg message{when, {}, "name", level, {text.data(), text.size()}};
  spdlog::memory_buf_t out;
  make_line_formatter(format)->clone()->format(message, out);
  return {out.data(), out.size()};
}

TEST(log_line, contains_time_level_and_message_as_text) {
  EXPECT_EQ(line(log_format::text, spdlog::level::info, "hello"),
            "2026-01-31T12:00:00.045Z info  hello\n");
  EXPECT_EQ(line(log_format::text, spdlog::level::err, "oh"),
            "2026-01-31T12:00:00.045Z error oh\n");
}

TEST(log_line, is_one_json_object) {
  EXPECT_EQ(line(log_format::json, spdlog::level::warn, "hello"),
            "{\"time\":\"2026-01-31T12:00:00.045Z\",\"level\":\"warn\",\"message\":\"hello\"}\n");
}

TEST(log_line, is_one_line_for_any_message) {
  EXPECT_EQ(line(log_format::text, spdlog::level::debug, "a\nb\x1b[2J"),
            "2026-01-31T12:00:00.045Z debug a\\x0ab\\x1b[2J\n");
  EXPECT_EQ(line(log_format::json, spdlog::level::debug, "say \"a\nb\""),
            "{\"time\":\"2026-01-31T12:00:00.045Z\",\"level\":\"debug\","
            "\"message\":\"say \\\"a\\\\x0ab\\\"\"}\n");
}

} // namespace
} // namespace kvcache::config
