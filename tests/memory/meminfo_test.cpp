#include "memory/meminfo.hpp"

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
  EXPECT_FALSE(host->swap_in_use);
}

TEST(meminfo, stands_in_for_a_missing_available_line) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\n"
                                  "Cached: 300 kB\nShmem: 100 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->used_bytes, (1000 - 100 - 50 - 200) * kib);
}

TEST(meminfo, sees_that_something_was_swapped_out) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemAvailable: 100 kB\n"
                                  "SwapTotal: 500 kB\nSwapFree: 499 kB\n");
  ASSERT_TRUE(host);
  EXPECT_TRUE(host->swap_in_use);
}

TEST(meminfo, says_nothing_where_the_text_says_nothing_usable) {
  EXPECT_FALSE(parse_meminfo(""));
  EXPECT_FALSE(parse_meminfo("MemTotal: 0 kB\nMemAvailable: 0 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: 1000 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemAvailable: 1000 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: lots kB\nMemAvailable: 1 kB\n"));
  EXPECT_FALSE(parse_meminfo("MemTotal: -5 kB\nMemAvailable: 1 kB\n"));
}

TEST(meminfo, more_available_than_there_is_means_nothing_is_used) {
  const auto host = parse_meminfo("MemTotal: 1000 kB\nMemAvailable: 2000 kB\n");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->used_bytes, 0U);
}

TEST(process_status, tells_what_is_resident_and_what_was_swapped_out) {
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
