#include "memory/meminfo.hpp"

#include <unistd.h>

#include <gtest/gtest.h>

namespace kvcache {
namespace {

constexpr std::uint64_t kib = 1024;

TEST(meminfo, use_is_what_is_not_available) {
  const auto host = parse_meminfo("MemTotal:        1999876 kB\n"
                                  "MemFree:          102400 kB\n"
                                  "MemAvailable:    1500000 kB\n"
                                  "Buffers:           10000 kB\n"
                                  "Cached:          1200000 kB\n"
                                  "SwapTotal:             0 kB\n"
                                  "SwapFree:              0 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->total_bytes, 1999876 * kib);
  EXPECT_EQ(host->used_bytes, 499876 * kib);
  EXPECT_EQ(host->swapped_bytes, 0U);
  EXPECT_EQ(host->zswap_bytes, 0U);
}

TEST(meminfo, estimates_a_missing_available_line) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\n"
                                  "Cached: 300 kB\nShmem: 100 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->used_bytes, (1000 - 100 - 50 - 200) * kib);
}

TEST(meminfo, reports_swapped_and_compressed_memory) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemAvailable: 100 kB\n"
                                  "SwapTotal: 500 kB\nSwapFree: 480 kB\n"
                                  "Zswap: 7 kB\nZswapped: 20 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->swapped_bytes, 20 * kib);
  EXPECT_EQ(host->zswap_bytes, 7 * kib);
}

TEST(meminfo, returns_nothing_for_unusable_text) {
  EXPECT_FALSE(parse_meminfo(""));
  EXPECT_FALSE(parse_meminfo("MemTotal: 0 kB\nMemAvailable: 0 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: 1000 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemAvailable: 1000 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: lots kB\nMemAvailable: 1 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: -5 kB\nMemAvailable: 1 kB\n"));
}

TEST(meminfo, more_available_than_total_means_no_use) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemAvailable: 2000 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->used_bytes, 0U);
}

TEST(machine_memory, is_what_sysinfo_reports) {
  const machine_memory machine = read_machine_memory();
  EXPECT_EQ(machine.total_bytes, static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                     static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_GT(machine.free_bytes, 0U);
  EXPECT_LT(machine.free_bytes, machine.total_bytes);
}

TEST(machine_memory, counts_what_is_not_free_as_used_by_others_up_to_half_of_it) {
  EXPECT_EQ(estimate_used_bytes({.total_bytes = 1000, .free_bytes = 900}, 20), 100U);
  EXPECT_EQ(estimate_used_bytes({.total_bytes = 1000, .free_bytes = 30}, 20), 520U);
  EXPECT_EQ(estimate_used_bytes({.total_bytes = 1000, .free_bytes = 30}, 600), 970U);
  EXPECT_EQ(estimate_used_bytes({}, 20), 0U);
}

TEST(process_status, reports_resident_and_swapped_memory) {
  const auto own = parse_process_status("Name:\tkeyvalue-cache\nVmPeak:\t  9000 kB\n"
                                        "VmRSS:\t    4096 kB\nRssAnon:\t 2048 kB\n"
                                        "VmSwap:\t     12 kB\n");
  ASSERT_TRUE(own);
  EXPECT_EQ(own->resident_bytes, 4096 * kib);
  EXPECT_EQ(own->swapped_bytes, 12 * kib);
  EXPECT_EQ(parse_process_status("VmRSS: 1 kB\n")->swapped_bytes, 0U);
  EXPECT_FALSE(parse_process_status("VmSwap: 1 kB\n"));
}

} // namespace
} // namespace kvcache
