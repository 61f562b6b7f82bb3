#include "process/access_lines.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/pattern_formatter.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace kvcache::config {

namespace {

// The text around the fields of a record, in the format of log_line.
constexpr std::string_view text_pattern = "%Y-%m-%dT%H:%M:%S.%eZ info  access %v";
constexpr std::string_view json_pattern =
    R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"info","message":"access",%v})";

using line = fmt::basic_memory_buffer<char, 256>; // longer than any line: no allocation

double in_us(std::chrono::nanoseconds time) noexcept {
  return static_cast<double>(time.count()) / 1000;
}

void append(line& to, std::string_view text) { to.append(text.data(), text.data() + text.size()); }

void append_word(line& to, std::string_view word) { append(to, word.empty() ? "-" : word); }

void append_member(line& to, std::string_view name, std::string_view value) {
  fmt::format_to(fmt::appender(to), R"("{}":)", name);
  if (value.empty())
    append(to, "null,");
  else
    fmt::format_to(fmt::appender(to), R"("{}",)", value);
}

void append_text(line& to, const http::access_record& record) {
  append_word(to, record.peer);
  append(to, " ");
  append_word(to, name_of(record.verb));
  append(to, " ");
  append_word(to, record.path);
  fmt::format_to(fmt::appender(to), " {} {} bytes ", record.status, record.sent_bytes);
  if (record.took)
    fmt::format_to(fmt::appender(to), "{:.1f} us", in_us(*record.took));
  else
    append(to, "-");
}

void append_json(line& to, const http::access_record& record) {
  append_member(to, "peer", record.peer);
  append_member(to, "method", name_of(record.verb));
  append_member(to, "path", record.path);
  fmt::format_to(fmt::appender(to), R"("status":{},"sent_bytes":{},"duration_us":)", record.status,
                 record.sent_bytes);
  if (record.took)
    fmt::format_to(fmt::appender(to), "{:.1f}", in_us(*record.took));
  else
    append(to, "null");
}

} // namespace

access_lines::access_lines(log_format format)
    : access_lines(format, make_descriptor_sink(STDERR_FILENO)) {}

access_lines::access_lines(log_format format, spdlog::sink_ptr sink)
    : format_(format),
      queue_("access", queue_lines, std::move(sink),
             std::make_unique<spdlog::pattern_formatter>(
                 std::string{format == log_format::json ? json_pattern : text_pattern},
                 spdlog::pattern_time_type::utc, "\n")) {}

void access_lines::write(const http::access_record& record) noexcept {
  try {
    line fields;
    if (format_ == log_format::json)
      append_json(fields, record);
    else
      append_text(fields, record);
    queue_.write(spdlog::level::info, {fields.data(), fields.size()});
  } catch (const std::exception&) { // no memory for a longer line
  }
}

} // namespace kvcache::config
