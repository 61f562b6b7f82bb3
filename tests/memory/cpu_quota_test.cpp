#include "memory/cpu_quota.hpp"

#include <gtest/gtest.h>

#include "memory/fake_root.hpp"

namespace kvcache {
namespace {

TEST(cpu_quota, of_v2_is_quota_over_period) {
  EXPECT_EQ(parse_cpu_max("50000 100000\n"), 0.5);
  EXPECT_EQ(parse_cpu_max("400000 100000\n"), 4.0);
}

TEST(cpu_quota, of_v2_is_none_for_max_and_garble) {
  for (const char* none : {"max 100000\n", "", "\n", "50000", "50000 0", "0 100000", "a b", "-1 5",
                           "50000 100000 7"}) {
    EXPECT_EQ(parse_cpu_max(none), std::nullopt) << none;
  }
}

TEST(cpu_quota, of_v1_comes_from_two_files_and_minus_one_is_none) {
  EXPECT_EQ(parse_cfs_quota("150000\n", "100000\n"), 1.5);
  EXPECT_EQ(parse_cfs_quota("-1\n", "100000\n"), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("150000\n", ""), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("", ""), std::nullopt);
}

TEST(cpu_quota, is_the_lowest_of_all_levels) {
  const test::fake_root root{
      {"/proc/self/cgroup", "0::/pod/app\n"},
      {"/proc/self/mountinfo", "30 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/pod/cpu.max", "150000 100000\n"},
      {"/sys/fs/cgroup/pod/app/cpu.max", "max 100000\n"},
  };
  EXPECT_EQ(read_cpu_quota(root.path()), 1.5);
  root.write("/sys/fs/cgroup/pod/app/cpu.max", "100000 100000\n");
  EXPECT_EQ(read_cpu_quota(root.path()), 1.0);
}

TEST(cpu_quota, is_found_in_the_cpu_hierarchy_of_v1) {
  const test::fake_root root{
      {"/proc/self/cgroup", "4:memory:/docker/4f2c\n3:cpu,cpuacct:/docker/4f2c\n"},
      {"/proc/self/mountinfo",
       "33 30 0:30 /docker/4f2c /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
  };
  EXPECT_EQ(read_cpu_quota(root.path()), 2.0);
}

TEST(cpu_quota, is_none_where_nothing_can_be_read) {
  const test::fake_root root;
  EXPECT_EQ(read_cpu_quota(root.path()), std::nullopt);
}

} // namespace
} // namespace kvcache
