// Why the service cannot start, as a message for the operator: the thing, the cause, the way out.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

#include "memory/process_limit.hpp"

namespace kvcache::daemon {

// What may keep a thread from being made.
struct thread_limits {
  unsigned needed = 0;                   // all threads of the service
  std::optional<process_limit> group{};  // of the control groups
  std::optional<std::uint64_t> user{};   // RLIMIT_NPROC, where it binds this process
  std::optional<std::uint64_t> memory{}; // RLIMIT_AS, in bytes
};

// `error`: errno of socket(), bind() or listen(). `address`: with its port. Pure.
std::string explain_listen_failure(const std::string& address, int error);

// A thread could not be made, all of which the kernel reports as EAGAIN. Pure.
std::string explain_thread_failure(const thread_limits& limits);

// Any other failure before the service serves: with the limit that is reached, where an error code
// tells that it is one. `workers`: as in --threads. Reads the limits that hold for this process.
std::string explain_start_failure(const std::exception& failure, unsigned workers);

} // namespace kvcache::daemon
