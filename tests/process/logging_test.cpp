#include "process/logging.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kvcache::config {
namespace {

// Keeps the lines. While it is shut, the writer blocks.
class kept_lines final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
  void shut() {
    const std::lock_guard lock{gate_mutex_};
    open_ = false;
  }
  void open() {
    const std::lock_guard lock{gate_mutex_};
    open_ = true;
    gate_.notify_all();
  }
  // REQUIRES: the logging that writes here is destroyed.
  const std::vector<std::string>& lines() const { return lines_; }

private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::unique_lock lock{gate_mutex_};
    gate_.wait(lock, [this] { return open_; });
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    lines_.emplace_back(line.data(), line.size());
  }
  void flush_() override {}

  std::mutex gate_mutex_;
  std::condition_variable gate_;
  bool open_ = true;
  std::vector<std::string> lines_;
};

TEST(logging, writes_all_lines_before_destruction) {
  const auto sink = std::make_shared<kept_lines>();
  {
    logging log{log_level::debug, log_format::text, sink};
    for (int i = 0; i < 100; ++i) log.info("line " + std::to_string(i));
  }
  ASSERT_EQ(sink->lines().size(), 100U);
  EXPECT_TRUE(sink->lines().back().ends_with("info  line 99\n"));
}

TEST(logging, omits_lines_below_its_level) {
  const auto sink = std::make_shared<kept_lines>();
  {
    logging log{log_level::warn, log_format::text, sink};
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
  }
  EXPECT_EQ(sink->lines().size(), 2U);
}

TEST(logging, logs_braces_verbatim) {
  const auto sink = std::make_shared<kept_lines>();
  {
    logging log{log_level::info, log_format::text, sink};
    log.info("{} {0} {");
  }
  ASSERT_EQ(sink->lines().size(), 1U);
  EXPECT_TRUE(sink->lines().front().ends_with("{} {0} {\n"));
}

TEST(logging, never_waits_for_its_reader_and_logs_the_number_of_dropped_lines) {
  const auto sink = std::make_shared<kept_lines>();
  constexpr std::size_t said = logging::queue_lines * 3;
  {
    logging log{log_level::info, log_format::text, sink};
    sink->shut();
    EXPECT_EQ(log.dropped_lines(), 0U);
    for (std::size_t i = 0; i < said; ++i) log.info("line " + std::to_string(i));
    EXPECT_GE(log.dropped_lines(), said - logging::queue_lines - 1); // one held by the writer
    sink->open();
  }
  EXPECT_LE(sink->lines().size(),
            logging::queue_lines + 2); // one held by the writer, one about dropped lines
  const std::string& last = sink->lines().back();
  EXPECT_NE(last.find("were dropped"), std::string::npos) << last;
}

} // namespace
} // namespace kvcache::config
