// The host's memory, from the text of /proc/meminfo or from sysinfo(2), and this process's use,
// from the text of /proc/self/status. The parsers are pure functions over any bytes.
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

// Nothing if the text has no usable MemTotal, or no figure of available memory. Kernels before 3.14
// have no MemAvailable; free memory, buffers and page cache without tmpfs replace it.
std::optional<host_memory> parse_meminfo(std::string_view text) noexcept;

// The result of sysinfo(2), which works without /proc. It does not distinguish page cache from use.
struct machine_memory {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0; // with buffers

  friend bool operator==(const machine_memory&, const machine_memory&) = default;
};

machine_memory read_machine_memory() noexcept;

// The estimated use of a machine if only sysinfo(2) is available. Other processes are assumed to
// use at most half of the machine: the rest of what is not free is page cache on any machine that
// has run for a while, and a cache that counted it would stay empty.
std::uint64_t estimate_used_bytes(const machine_memory& machine, std::uint64_t own_bytes) noexcept;

struct process_memory {
  std::uint64_t resident_bytes = 0;
  std::uint64_t swapped_bytes = 0; // 0 if the kernel does not report it
};

std::optional<process_memory> parse_process_status(std::string_view text) noexcept;

} // namespace kvcache
