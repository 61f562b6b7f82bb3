// Messages for the operator about a failed start: each names the thing, the cause and the remedy.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

#include "memory/process_limit.hpp"

namespace kvcache::daemon {

// What may prevent the creation of a thread.
struct thread_limits {
  unsigned needed = 0;                   // all threads of the service
  std::optional<process_limit> group{};  // of the cgroups
  std::optional<std::uint64_t> user{};   // RLIMIT_NPROC, if it applies to this process
  std::optional<std::uint64_t> memory{}; // RLIMIT_AS, in bytes
};

// `error`: errno of socket(), bind() or listen(). `address`: with its port. Pure.
std::string explain_listen_failure(const std::string& address, int error);

// A thread could not be created. The kernel reports every cause of that as EAGAIN. Pure.
std::string explain_thread_failure(const thread_limits& limits);

// Any other failure before the service serves, with the limit that is reached if the error code
// indicates one. `workers`: as in --threads. Reads the limits in force for this process.
std::string explain_start_failure(const std::exception& failure, unsigned workers);

} // namespace kvcache::daemon
