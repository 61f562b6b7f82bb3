// The program's log: lines on standard error, written by a thread of their own, so that no worker
// ever waits for a terminal or a full pipe. A queue of bounded length lies between; when it is full
// the oldest lines give way, and how many is said at the end.
//
// Make one at start, after signals are blocked (its thread inherits the mask). Its destructor
// writes everything that is queued; whoever logs must be gone by then. Thread-safe.
//
// Lines of up to some 200 characters need no memory beyond what is held from the start, so that a
// lack of memory can be said. A longer one may be lost then; nothing is thrown.
#pragma once

#include <spdlog/common.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "config/options.hpp"

namespace spdlog {
class logger;
namespace details {
class thread_pool;
}
} // namespace spdlog

namespace kvcache::config {

class logging {
public:
  // Lines that can wait to be written: about 100 KiB.
  static constexpr std::size_t queue_lines = 256;

  logging(log_level level, log_format format); // to standard error
  logging(log_level level, log_format format, spdlog::sink_ptr sink);
  ~logging();
  logging(const logging&) = delete;
  logging& operator=(const logging&) = delete;

  void debug(std::string_view message) noexcept { write(log_level::debug, message); }
  void info(std::string_view message) noexcept { write(log_level::info, message); }
  void warn(std::string_view message) noexcept { write(log_level::warn, message); }
  void error(std::string_view message) noexcept { write(log_level::error, message); }

  // Lines that have given way to later ones so far. Any thread.
  std::size_t dropped_lines() const;

private:
  void write(log_level level, std::string_view message) noexcept;

  std::shared_ptr<spdlog::details::thread_pool> writer_;
  std::shared_ptr<spdlog::logger> logger_;
};

} // namespace kvcache::config
