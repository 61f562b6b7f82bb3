// The limit of processes and threads (pids.max) of this process's cgroups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kvcache {

struct process_limit {
  std::uint64_t most = 0;    // processes and threads together
  std::uint64_t present = 0; // now
  std::string file;          // where it is set
};

// The limit with the fewest left, of the own group and its parents; nothing if there is none.
// `root`: where /proc and /sys are; "" except in tests.
std::optional<process_limit> read_process_limit(const std::string& root);

} // namespace kvcache
