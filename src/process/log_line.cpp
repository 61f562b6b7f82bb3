#include "process/log_line.hpp"

#include <spdlog/details/log_msg.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "process/printable.hpp"

namespace kvcache::config {

namespace {

void append(spdlog::memory_buf_t& to, std::string_view text) {
  to.append(text.data(), text.data() + text.size());
}

void append_utc_time(spdlog::memory_buf_t& to, spdlog::log_clock::time_point when) {
  using namespace std::chrono;
  const auto since_epoch = when.time_since_epoch();
  const auto whole_s = floor<seconds>(since_epoch);
  const auto ms = duration_cast<milliseconds>(since_epoch - whole_s).count();
  const std::time_t time = static_cast<std::time_t>(whole_s.count());
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(ms));
  append(to, text.data());
  append(to, fraction.data());
}

std::string_view level_name(spdlog::level::level_enum level) {
  switch (level) {
  case spdlog::level::trace:
  case spdlog::level::debug:
    return "debug";
  case spdlog::level::info:
    return "info";
  case spdlog::level::warn:
    return "warn";
  default:
    return "error";
  }
}

} // namespace

// Formats into the line itself, whose inline buffer suffices for an ordinary one, so that a lack of
// memory can be logged.
void log_line::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) {
  const std::string_view text{message.payload.data(), message.payload.size()};
  const std::string_view level = level_name(message.level);
  if (format_ == log_format::json) {
    append(line, R"({"time":")");
    append_utc_time(line, message.time);
    append(line, R"(","level":")");
    append(line, level);
    append(line, R"(","message":")");
    for_each_printable(text, [&line](char c) {
      if (c == '"' || c == '\\') line.push_back('\\'); // the only ones of these that JSON escapes
      line.push_back(c);
    });
    append(line, "\"}\n");
  } else {
    constexpr std::string_view blanks = "      ";
    append_utc_time(line, message.time);
    append(line, " ");
    append(line, level);
    append(line, blanks.substr(level.size()));
    for_each_printable(text, [&line](char c) { line.push_back(c); });
    append(line, "\n");
  }
}

std::unique_ptr<spdlog::formatter> log_line::clone() const {
  return std::make_unique<log_line>(format_);
}

} // namespace kvcache::config
