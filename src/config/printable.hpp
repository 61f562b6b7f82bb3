// Foreign bytes made fit for a log line or a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kvcache::config {

// The same text with everything but printable ASCII written as \xNN, and a backslash doubled: no
// line breaks, no terminal control, and what comes out says unambiguously what went in.
std::string printable(std::string_view text);

} // namespace kvcache::config
