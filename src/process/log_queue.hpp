// A bounded queue of log lines and the thread that writes them to a sink: the part that the log
// (logging.hpp) and the access log (access_lines.hpp) share.
//
// Nobody waits for a write: write() only queues, and where the queue is full the oldest line is
// dropped. The destructor waits at most `drain_time` for queued lines; then it drops them and
// leaves the thread, which may be blocked in a write for good, to the end of the process.
//
// Thread-safety: write() and dropped_lines() from any thread; the destructor once nobody calls
// them. Ownership: shares the sink with the writer thread. Errors: the constructor throws
// std::system_error where no thread can be had; write() never throws.
#pragma once

#include <spdlog/common.h>
#include <spdlog/formatter.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
namespace details {
class thread_pool;
}
} // namespace spdlog

namespace kvcache::config {

class log_queue {
public:
  static constexpr std::chrono::milliseconds drain_time{500};

  // `lines`: how many can wait.
  log_queue(std::string name, std::size_t lines, spdlog::sink_ptr sink,
            std::unique_ptr<spdlog::formatter> formatter);
  ~log_queue();
  log_queue(const log_queue&) = delete;
  log_queue& operator=(const log_queue&) = delete;

  void set_level(spdlog::level::level_enum level);
  void write(spdlog::level::level_enum level, std::string_view text) noexcept;

  // Lines that were to be written and are not: the queue was full, the write failed, or there was
  // no memory.
  std::uint64_t dropped_lines() const noexcept;

private:
  class counted_sink;
  using pool = std::shared_ptr<spdlog::details::thread_pool>;

  bool is_drained() const noexcept;

  const std::shared_ptr<counted_sink> sink_;
  // Where the thread keeps its own pool alive once it is left to itself: else empty.
  const std::shared_ptr<pool> abandoned_;
  pool writer_;
  std::shared_ptr<spdlog::logger> logger_;
  std::atomic<std::uint64_t> queued_{0};
  std::atomic<std::uint64_t> refused_{0}; // for want of memory
};

// Writes each line to a descriptor with one write(2), or as many as it takes. Throws
// std::system_error where a line cannot be written whole.
spdlog::sink_ptr make_descriptor_sink(int descriptor);

} // namespace kvcache::config
