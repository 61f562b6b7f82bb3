#include "config/log_line.hpp"

#include <spdlog/details/log_msg.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include "config/printable.hpp"

namespace kvcache::config {

namespace {

std::string utc_time(spdlog::log_clock::time_point when) {
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
  return std::string{text.data()} + fraction.data();
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

// printable() leaves only two characters that JSON wants escaped.
std::string json_string(std::string_view printable_text) {
  std::string out = "\"";
  for (const char c : printable_text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

} // namespace

void log_line::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) {
  const std::string text = printable({message.payload.data(), message.payload.size()});
  const std::string_view level = level_name(message.level);
  std::string out;
  if (format_ == log_format::json) {
    out.append(R"({"time":")")
        .append(utc_time(message.time))
        .append(R"(","level":")")
        .append(level);
    out.append(R"(","message":)").append(json_string(text)).append("}\n");
  } else {
    constexpr std::size_t level_width = 5;
    out.append(utc_time(message.time)).append(" ").append(level);
    out.append(level_width + 1 - level.size(), ' ').append(text).append("\n");
  }
  line.append(out.data(), out.data() + out.size());
}

std::unique_ptr<spdlog::formatter> log_line::clone() const {
  return std::make_unique<log_line>(format_);
}

} // namespace kvcache::config
