// A bounded queue of log lines and the thread that writes them to a sink, shared by the log
// (logging.hpp) and the access log (access_lines.hpp).
//
// No caller waits for a write: write() only queues. If the queue is full, the oldest line is
// dropped. The destructor waits at most `drain_time` for queued lines; then it drops them and
// abandons the thread, which may be blocked in a write forever.
//
// Thread-safety: write() and dropped_lines() from any thread, but not during destruction.
// Ownership: shares the sink with the writer thread.
// Errors: the constructor throws std::system_error if no thread can be created; write() never
// throws.
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

  // `lines`: the capacity.
  log_queue(std::string name, std::size_t lines, spdlog::sink_ptr sink,
            std::unique_ptr<spdlog::formatter> formatter);
  ~log_queue();
  log_queue(const log_queue&) = delete;
  log_queue& operator=(const log_queue&) = delete;

  void set_level(spdlog::level::level_enum level);
  void write(spdlog::level::level_enum level, std::string_view text) noexcept;

  // Lines that were dropped: the queue was full, the write failed, or memory was short.
  std::uint64_t dropped_lines() const noexcept;

private:
  class counted_sink;
  using pool = std::shared_ptr<spdlog::details::thread_pool>;

  bool is_drained() const noexcept;

  const std::shared_ptr<counted_sink> sink_;
  // Keeps the pool alive for an abandoned thread; otherwise empty.
  const std::shared_ptr<pool> abandoned_;
  pool writer_;
  std::shared_ptr<spdlog::logger> logger_;
  std::atomic<std::uint64_t> queued_{0};
  std::atomic<std::uint64_t> refused_{0}; // for lack of memory
};

// Writes each line to a descriptor with one write(2), or as many as needed. Throws
// std::system_error if a line cannot be written completely.
spdlog::sink_ptr make_descriptor_sink(int descriptor);

} // namespace kvcache::config
