// Which log lines are written, and how.
#pragma once

#include <cstdint>

namespace kvcache::config {

enum class log_level : std::uint8_t { debug, info, warn, error };
enum class log_format : std::uint8_t { text, json };

} // namespace kvcache::config
