// The program's log: lines on standard error, written by a thread of their own (log_queue.hpp), so
// that nobody ever waits for a terminal or a full pipe. When the queue is full the oldest lines are
// dropped; how many is logged at the end.
//
// Make one at start, after signals are blocked (its thread inherits the mask). Its destructor waits
// a bounded time for queued lines and drops the rest; whoever logs must be gone by then.
// Thread-safe.
//
// Lines of up to some 200 characters need no memory beyond what is held from the start, so that a
// lack of memory can be said. A longer one may be lost then; nothing is thrown.
#pragma once

#include <spdlog/common.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "process/log_format.hpp"
#include "process/log_queue.hpp"

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

  // Lines that should have been written and were not, so far.
  std::uint64_t dropped_lines() const noexcept { return queue_.dropped_lines(); }

private:
  void write(log_level level, std::string_view message) noexcept;

  log_queue queue_;
};

} // namespace kvcache::config
