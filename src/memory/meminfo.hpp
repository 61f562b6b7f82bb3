// What the host has, from the text of /proc/meminfo, and what this process takes of it, from the
// text of /proc/self/status. Pure functions over any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache {

struct host_memory {
  std::uint64_t total_bytes = 0; // never 0
  std::uint64_t used_bytes = 0;  // total − available; page cache the kernel can drop is not use
  bool swap_in_use = false;      // something, of whomever, has been swapped out
};

// Nothing where the text has no usable MemTotal, or does not tell what is available. Kernels before
// 3.14 have no MemAvailable: free memory, buffers and page cache without tmpfs stand for it there.
std::optional<host_memory> parse_meminfo(std::string_view text) noexcept;

struct process_memory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t swapped_bytes = 0; // 0 where the kernel does not tell
};

std::optional<process_memory> parse_process_status(std::string_view text) noexcept;

} // namespace kvcache
