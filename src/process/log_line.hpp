// Formats one log message as a line of text or JSON.
//
//   2026-01-31T12:00:00.123Z info  listening on 127.0.0.1:7171
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"listening on 127.0.0.1:7171"}
//
// Any message results in one line of printable ASCII (printable.hpp).
#pragma once

#include <spdlog/formatter.h>

#include <memory>

#include "process/log_format.hpp"

namespace kvcache::config {

class log_line final : public spdlog::formatter {
public:
  explicit log_line(log_format format) noexcept : format_(format) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override;
  std::unique_ptr<spdlog::formatter> clone() const override;

private:
  log_format format_;
};

} // namespace kvcache::config
