#include "memory/process_limit.hpp"

#include <gtest/gtest.h>

#include "memory/fake_root.hpp"

namespace kvcache {
namespace {

TEST(process_limit, is_that_of_the_level_with_the_fewest_left) {
  const test::fake_root root{
      {"/proc/self/cgroup", "0::/pod/app\n"},
      {"/proc/self/mountinfo", "30 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/pod/pids.max", "100\n"},
      {"/sys/fs/cgroup/pod/pids.current", "99\n"},
      {"/sys/fs/cgroup/pod/app/pids.max", "10\n"},
      {"/sys/fs/cgroup/pod/app/pids.current", "2\n"},
  };
  const auto limit = read_process_limit(root.path());
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->most, 100U);
  EXPECT_EQ(limit->present, 99U);
  EXPECT_EQ(limit->file, "/sys/fs/cgroup/pod/pids.max");
}

TEST(process_limit, is_found_in_the_pids_hierarchy_of_v1) {
  const test::fake_root root{
      {"/proc/self/cgroup", "8:pids:/docker/4f2c\n4:memory:/docker/4f2c\n"},
      {"/proc/self/mountinfo",
       "33 30 0:30 /docker/4f2c /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"},
      {"/sys/fs/cgroup/pids/pids.max", "5\n"},
      {"/sys/fs/cgroup/pids/pids.current", "5\n"},
  };
  const auto limit = read_process_limit(root.path());
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->most, 5U);
}

TEST(process_limit, is_none_if_there_is_none_or_it_cannot_be_read) {
  EXPECT_FALSE(read_process_limit(test::fake_root{}.path()));
  const test::fake_root root{
      {"/proc/self/cgroup", "0::/app\n"},
      {"/proc/self/mountinfo", "30 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/app/pids.max", "max\n"},
      {"/sys/fs/cgroup/app/pids.current", "2\n"},
  };
  EXPECT_FALSE(read_process_limit(root.path()));
}

} // namespace
} // namespace kvcache
