// What the host has, from the text of /proc/meminfo or from sysinfo(2), and what this process takes
// of it, from the text of /proc/self/status. The parsers are pure functions over any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcache {

struct host_memory {
  std::uint64_t total_bytes = 0;   // never 0
  std::uint64_t used_bytes = 0;    // total − available; page cache the kernel can drop is not use
  std::uint64_t swapped_bytes = 0; // of all processes
  std::uint64_t zswap_bytes = 0;   // compressed pages in memory; part of used_bytes
};

// Nothing where the text has no usable MemTotal, or does not tell what is available. Kernels before
// 3.14 have no MemAvailable: free memory, buffers and page cache without tmpfs stand for it there.
std::optional<host_memory> parse_meminfo(std::string_view text) noexcept;

// What sysinfo(2) reports, which works without /proc. It does not tell page cache from use.
struct machine_memory {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0; // with buffers

  friend bool operator==(const machine_memory&, const machine_memory&) = default;
};

machine_memory read_machine_memory() noexcept;

// The use of a machine of which no more is known. Of what is not free, others are taken to use at
// most half of the machine: the rest is page cache on any machine that has been up for a while, and
// a cache that counted it would stay empty.
std::uint64_t estimate_used_bytes(const machine_memory& machine, std::uint64_t own_bytes) noexcept;

struct process_memory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t swapped_bytes = 0; // 0 where the kernel does not tell
};

std::optional<process_memory> parse_process_status(std::string_view text) noexcept;

} // namespace kvcache
