#include "process/logging.hpp"

#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <utility>

#include "process/log_line.hpp"

namespace kvcache::config {

namespace {

spdlog::level::level_enum spdlog_level(log_level level) {
  switch (level) {
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warn:
    return spdlog::level::warn;
  case log_level::error:
    break;
  }
  return spdlog::level::err;
}

} // namespace

logging::logging(log_level level, log_format format)
    : logging(level, format, make_descriptor_sink(STDERR_FILENO)) {}

logging::logging(log_level level, log_format format, spdlog::sink_ptr sink)
    : queue_("keyvalue-cache", queue_lines, std::move(sink), std::make_unique<log_line>(format)) {
  queue_.set_level(spdlog_level(level));
}

logging::~logging() {
  const std::uint64_t dropped = dropped_lines();
  if (dropped == 0) return;
  std::array<char, 64> line{}; // not a string: the destructor must not allocate
  std::snprintf(line.data(), line.size(), "%" PRIu64 " log lines were dropped", dropped);
  warn(line.data());
}

void logging::write(log_level level, std::string_view message) noexcept {
  queue_.write(spdlog_level(level), message);
}

} // namespace kvcache::config
