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

constexpr std::array<spdlog::level::level_enum, 4> spdlog_levels{
    spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};

spdlog::level::level_enum spdlog_level(log_level level) {
  return spdlog_levels.at(static_cast<std::size_t>(level));
}

} // namespace

logging::logging(log_level level, log_format format)
    : logging(level, format, make_descriptor_sink(STDERR_FILENO)) {}

logging::logging(log_level level, log_format format, spdlog::sink_ptr sink)
    : queue_("keyvalue-cache", queue_lines, std::move(sink), make_line_formatter(format)) {
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
