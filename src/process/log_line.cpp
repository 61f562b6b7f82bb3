#include "process/log_line.hpp"

#include <spdlog/pattern_formatter.h>

#include <string_view>

#include "process/printable.hpp"

namespace kvcache::config {

namespace {

// Level and message, which follow the time in a line.
class level_and_message final : public spdlog::custom_flag_formatter {
public:
  explicit level_and_message(log_format format) noexcept : format_(format) {}

  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& line) override {
    const auto append = [&line](std::string_view text) {
      line.append(text.data(), text.data() + text.size());
    };
    const auto name = spdlog::level::to_string_view(message.level);
    const std::string_view level =
        message.level == spdlog::level::warn ? "warn" : std::string_view{name.data(), name.size()};
    const bool json = format_ == log_format::json;
    append(level);
    append(json ? R"(","message":")" : std::string_view{"      "}.substr(level.size()));
    for_each_printable({message.payload.data(), message.payload.size()}, [&](char c) {
      if (json && (c == '"' || c == '\\')) line.push_back('\\'); // JSON escapes no others of these
      line.push_back(c);
    });
  }

  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<level_and_message>(format_);
  }

private:
  const log_format format_;
};

} // namespace

std::unique_ptr<spdlog::formatter> make_line_formatter(log_format format) {
  auto made = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
  made->add_flag<level_and_message>('*', format)
      .set_pattern(format == log_format::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%*"})"
                                              : "%Y-%m-%dT%H:%M:%S.%eZ %*");
  return made;
}

} // namespace kvcache::config
