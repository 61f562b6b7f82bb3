// Formats one log message as a line of text or JSON.
//
//   2026-01-31T12:00:00.123Z info  listening on 127.0.0.1:7171
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"listening on 127.0.0.1:7171"}
//
// Any message results in one line of printable ASCII (printable.hpp).
// Errors: formatting a message of ordinary length allocates nothing, so that a lack of memory can
// be logged.
#pragma once

#include <spdlog/formatter.h>

#include <memory>

#include "process/log_format.hpp"

namespace kvcache::config {

std::unique_ptr<spdlog::formatter> make_line_formatter(log_format format);

} // namespace kvcache::config
