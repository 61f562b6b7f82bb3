#include "process/log_queue.hpp"

#include <spdlog/async.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "process/bounded_write.hpp"

namespace kvcache::config {

namespace {

class descriptor_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
  explicit descriptor_sink(int descriptor) noexcept : descriptor_(descriptor) {}

private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // May block without a bound: a full pipe must not split a line.
    if (const auto error = write_all(descriptor_, {line.data(), line.size()}))
      throw std::system_error{error};
  }
  void flush_() override {}

  const int descriptor_;
};

} // namespace

spdlog::sink_ptr make_descriptor_sink(int descriptor) {
  return std::make_shared<descriptor_sink>(descriptor);
}

// Counts finished lines. Throws nothing, since spdlog reports a sink's exception by a blocking
// write to standard error.
class log_queue::counted_sink final : public spdlog::sinks::sink {
public:
  explicit counted_sink(spdlog::sink_ptr inner) : inner_(std::move(inner)) {}

  void log(const spdlog::details::log_msg& message) override {
    try {
      inner_->log(message);
    } catch (const std::exception&) {
      failed_.fetch_add(1, std::memory_order_relaxed);
    }
    done_.fetch_add(1, std::memory_order_release);
  }
  void flush() override {}
  void set_pattern(const std::string& pattern) override { inner_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    inner_->set_formatter(std::move(formatter));
  }

  std::uint64_t done() const noexcept { return done_.load(std::memory_order_acquire); }
  std::uint64_t failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

private:
  const spdlog::sink_ptr inner_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> failed_{0};
};

log_queue::log_queue(std::string name, std::size_t lines, spdlog::sink_ptr sink,
                     std::unique_ptr<spdlog::formatter> formatter)
    : sink_(std::make_shared<counted_sink>(std::move(sink))),
      abandoned_(std::make_shared<pool>()),
      writer_(std::make_shared<spdlog::details::thread_pool>(lines, 1, [keep = abandoned_] {})),
      logger_(std::make_shared<spdlog::async_logger>(
          std::move(name), sink_, writer_, spdlog::async_overflow_policy::overrun_oldest)) {
  logger_->set_formatter(std::move(formatter));
}

log_queue::~log_queue() {
  const auto end = std::chrono::steady_clock::now() + drain_time;
  while (!is_drained() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  // The pool's destructor waits for its thread. If that is blocked, the pool is never destroyed:
  // the thread itself owns it, with everything it may still use.
  if (!is_drained()) *abandoned_ = writer_;
  writer_.reset();
}

bool log_queue::is_drained() const noexcept {
  return sink_->done() + writer_->overrun_counter() >= queued_.load(std::memory_order_relaxed);
}

void log_queue::set_level(spdlog::level::level_enum level) { logger_->set_level(level); }

// As text, not as a format: a message may hold braces.
void log_queue::write(spdlog::level::level_enum level, std::string_view text) noexcept {
  if (!logger_->should_log(level)) return;
  try {
    logger_->log(level, spdlog::string_view_t{text.data(), text.size()});
    queued_.fetch_add(1, std::memory_order_relaxed);
  } catch (const std::exception&) { // no memory for so long a line
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
}

std::uint64_t log_queue::dropped_lines() const noexcept {
  return writer_->overrun_counter() + sink_->failed() + refused_.load(std::memory_order_relaxed);
}

} // namespace kvcache::config
