// The program's log: lines on standard error, written by a separate thread (log_queue.hpp), so that
// no caller waits for a terminal or a full pipe. If the queue is full, the oldest lines are
// dropped; their number is logged at exit.
//
// Thread-safety: any thread may log. REQUIRES: signals are blocked at construction, since the
// writer thread inherits the mask; no thread logs during destruction, which waits a bounded time
// for queued lines and drops the rest. Errors: nothing is thrown. Lines of up to some 200
// characters need no further memory, so that a lack of memory can be logged; a longer line may be
// dropped then.
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
  // Capacity of the queue: about 100 KiB.
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

  // Lines dropped so far.
  std::uint64_t dropped_lines() const noexcept { return queue_.dropped_lines(); }

private:
  void write(log_level level, std::string_view message) noexcept;

  log_queue queue_;
};

} // namespace kvcache::config
