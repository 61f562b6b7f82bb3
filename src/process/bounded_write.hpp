// Writing a text for people without a log: to standard error before there is one, or to standard
// output for --help and the like.
//
// Thread-safety: none, both are for a process with one thread (they may set its timer and the
// handler of SIGALRM, and put both back).
#pragma once

#include <chrono>
#include <string_view>
#include <system_error>

namespace kvcache::config {

// Writes all of it, however long the reader takes. The error that kept it from doing so, if any.
std::error_code write_all(int descriptor, std::string_view text) noexcept;

// The same, but gives up after `at_most`, with std::errc::timed_out: a full pipe that nobody reads,
// or a stopped terminal, must not keep the process from ending. Whether the descriptor blocks is a
// property it shares with other processes, so it stays as it is.
std::error_code write_within(std::chrono::milliseconds at_most, int descriptor,
                             std::string_view text) noexcept;

} // namespace kvcache::config
