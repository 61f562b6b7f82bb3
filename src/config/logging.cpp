#include "config/logging.hpp"

#include <spdlog/async.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <cstdio>
#include <exception>
#include <utility>

#include "config/log_line.hpp"

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
    : logging(level, format, std::make_shared<spdlog::sinks::stderr_sink_mt>()) {}

logging::logging(log_level level, log_format format, spdlog::sink_ptr sink)
    : writer_(std::make_shared<spdlog::details::thread_pool>(queue_lines, 1)),
      logger_(
          std::make_shared<spdlog::async_logger>("keyvalue-cache", std::move(sink), writer_,
                                                 spdlog::async_overflow_policy::overrun_oldest)) {
  logger_->set_formatter(std::make_unique<log_line>(format));
  logger_->set_level(spdlog_level(level));
}

std::size_t logging::dropped_lines() const { return writer_->overrun_counter(); }

logging::~logging() {
  if (const std::size_t lost = dropped_lines(); lost > 0) {
    std::array<char, 64> line{}; // not a string: a destructor is no place to run out of memory
    std::snprintf(line.data(), line.size(), "%zu log lines gave way to later ones", lost);
    warn(line.data());
  }
  // Messages hold the logger, the logger only a weak reference to the pool: letting go of the pool
  // makes its thread write what is queued, and end.
  writer_.reset();
}

// As text, not as a format: a message may hold braces.
void logging::write(log_level level, std::string_view message) noexcept {
  try {
    logger_->log(spdlog_level(level), spdlog::string_view_t{message.data(), message.size()});
  } catch (const std::exception&) { // no memory for so long a line
  }
}

} // namespace kvcache::config
