// Writes text to a descriptor, also without the log: to standard error before the log exists, or to
// standard output for --help and the like.
//
// Thread-safety: write_all() from any thread. write_within() sets the timer of the process and the
// handler of SIGALRM, and restores them. REQUIRES: the process has one thread then.
#pragma once

#include <chrono>
#include <string_view>
#include <system_error>

namespace kvcache::config {

// Writes the whole text, however slow the reader, even if another process has made the descriptor
// non-blocking. Returns the error that prevented it, if any.
std::error_code write_all(int descriptor, std::string_view text) noexcept;

// The same, but fails with std::errc::timed_out after `at_most`: a full pipe without reader or a
// stopped terminal must not prevent the process from exiting. The descriptor's blocking mode is
// shared with other processes, so it is not changed.
std::error_code write_within(std::chrono::milliseconds at_most, int descriptor,
                             std::string_view text) noexcept;

} // namespace kvcache::config
