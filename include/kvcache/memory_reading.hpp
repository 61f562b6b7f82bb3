// The memory that this process may use, as read at one moment.
//
// Thread-safety: plain values. Ownership: owns its text.
#pragma once

#include <cstdint>
#include <string>

namespace kvcache {

// One reading: usage and limit always come from the same level (a cgroup, the host, what the
// operator allows, or the estimate).
struct memory_reading {
  std::uint64_t used_bytes = 0;  // in use at that level; reclaimable page cache is not use
  std::uint64_t limit_bytes = 0; // the limit at that level; never 0 in a returned reading
  std::string source;            // of both, for people: "cgroup v2 /sys/fs/cgroup/…", "host"

  friend bool operator==(const memory_reading&, const memory_reading&) = default;
};

} // namespace kvcache
