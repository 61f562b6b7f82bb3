// The kernel's figures about this process, which every Prometheus client exports.
//
// Thread-safety: read() may be called from any thread.
// Errors: none are thrown; read() keeps a descriptor, so that it works when the process has no
// free one.
// Complexity: a few microseconds; before Linux 6.2 open files are counted one by one.
#pragma once

#include <chrono>
#include <cstdint>

#include "report/service_snapshot.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::daemon {

class process_monitor {
public:
  process_monitor() noexcept; // records the start time

  // 0 for what the kernel does not report.
  observe::process_facts read() const noexcept;

private:
  std::uint64_t resident_bytes() const noexcept;

  // Read once: the wall clock may be set later, and a changed start time would look like a restart.
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  const http::unique_fd statm_; // /proc/self/statm; none if it cannot be opened
};

// The number of files in a directory; 0 if it cannot be read.
std::uint64_t count_names(const char* directory) noexcept;

} // namespace kvcache::daemon
