// What the kernel tells about this process: for the figures that every Prometheus client shows.
//
// Thread-safety: look() from any thread. It costs a few microseconds, throws nothing, and, with a
// descriptor that is kept, works when the process has run out of them. (Before Linux 6.2 open files
// must be counted one by one: half a microsecond each.)
#pragma once

#include <chrono>
#include <cstdint>

#include "report/service_snapshot.hpp"

namespace kvcache::daemon {

class process_watch {
public:
  process_watch() noexcept; // the moment it tells as the start
  ~process_watch();
  process_watch(const process_watch&) = delete;
  process_watch& operator=(const process_watch&) = delete;

  // 0 for what the kernel does not tell.
  observe::process_facts look() const noexcept;

private:
  std::uint64_t resident_bytes() const noexcept;

  // Taken once: the wall clock may be set later, and a start that moves would look like a restart.
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  const int statm_; // /proc/self/statm, negative where there is none
};

// How many files a directory holds; 0 where it cannot be read.
std::uint64_t count_names(const char* directory) noexcept;

} // namespace kvcache::daemon
