#include "memory/meminfo.hpp"

#include <algorithm>

#include <sys/sysinfo.h>

#include "memory/text.hpp"

namespace kvcache {

namespace {

std::optional<std::uint64_t> available_bytes(std::string_view text) noexcept {
  if (const auto available = text::find_kib(text, "MemAvailable")) return available;
  const auto free = text::find_kib(text, "MemFree");
  if (!free) return std::nullopt;
  const std::uint64_t buffers = text::find_kib(text, "Buffers").value_or(0);
  const std::uint64_t cached = text::find_kib(text, "Cached").value_or(0);
  const std::uint64_t tmpfs = text::find_kib(text, "Shmem").value_or(0);
  return text::saturating_add(
      *free, text::saturating_add(buffers, text::saturating_subtract(cached, tmpfs)));
}

} // namespace

std::optional<host_memory> parse_meminfo(std::string_view text) noexcept {
  const auto total = text::find_kib(text, "MemTotal");
  const auto available = available_bytes(text);
  if (!total || *total == 0 || !available) return std::nullopt;
  const std::uint64_t swap_total = text::find_kib(text, "SwapTotal").value_or(0);
  const std::uint64_t swap_free = text::find_kib(text, "SwapFree").value_or(swap_total);
  return host_memory{.total_bytes = *total,
                     .used_bytes = text::saturating_subtract(*total, *available),
                     .swapped_bytes = text::saturating_subtract(swap_total, swap_free),
                     .zswap_bytes = text::find_kib(text, "Zswap").value_or(0)};
}

machine_memory read_machine_memory() noexcept {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return {};
  const std::uint64_t unit = info.mem_unit;
  return {.total_bytes = info.totalram * unit,
          .free_bytes = (std::uint64_t{info.freeram} + info.bufferram) * unit};
}

std::uint64_t estimate_used_bytes(const machine_memory& machine, std::uint64_t own_bytes) noexcept {
  return std::min(text::saturating_subtract(machine.total_bytes, machine.free_bytes),
                  text::saturating_add(machine.total_bytes / 2, own_bytes));
}

std::optional<process_memory> parse_process_status(std::string_view text) noexcept {
  const auto resident = text::find_kib(text, "VmRSS");
  if (!resident) return std::nullopt;
  return process_memory{.resident_bytes = *resident,
                        .swapped_bytes = text::find_kib(text, "VmSwap").value_or(0)};
}

} // namespace kvcache
