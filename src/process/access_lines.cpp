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

void append_duration(line& to, const http::access_record& record, std::string_view unit,
                     std::string_view unknown) {
  if (record.took)
    fmt::format_to(fmt::appender(to), "{:.1f}{}", static_cast<double>(record.took->count()) / 1000,
                   unit);
  else
    to.append(unknown);
}

void append_text(line& to, const http::access_record& record) {
  const auto known = [](std::string_view word) { return word.empty() ? "-" : word; };
  fmt::format_to(fmt::appender(to), "{} {} {} {} {} bytes ", known(record.peer),
                 known(name_of(record.verb)), known(record.path), record.status, record.sent_bytes);
  append_duration(to, record, " us", "-");
}

void append_json(line& to, const http::access_record& record) {
  const auto member = [&to](std::string_view name, std::string_view value) {
    if (value.empty())
      fmt::format_to(fmt::appender(to), R"("{}":null,)", name);
    else
      fmt::format_to(fmt::appender(to), R"("{}":"{}",)", name, value);
  };
  member("peer", record.peer);
  member("method", name_of(record.verb));
  member("path", record.path);
  fmt::format_to(fmt::appender(to), R"("status":{},"sent_bytes":{},"duration_us":)", record.status,
                 record.sent_bytes);
  append_duration(to, record, "", "null");
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
