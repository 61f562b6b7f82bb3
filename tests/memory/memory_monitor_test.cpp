#include "memory/memory_monitor.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "memory/fake_root.hpp"

namespace kvcache {
namespace {

using test::fake_root;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

// A host with 2,000 of 8,000 MiB in use.
constexpr std::string_view host_quarter_full = "MemTotal:        8192000 kB\n"
                                               "MemFree:         5000000 kB\n"
                                               "MemAvailable:    6144000 kB\n"
                                               "SwapTotal:             0 kB\n"
                                               "SwapFree:              0 kB\n";

constexpr std::string_view v2_mount =
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 "
    "rw,nsdelegate,memory_recursiveprot\n";

memory_monitor monitor_of(const fake_root& root, std::uint64_t memory_limit_bytes = 0) {
  return memory_monitor({.root = root.path(), .memory_limit_bytes = memory_limit_bytes});
}

memory_reading fullest(const fake_root& root) { return monitor_of(root).read(0).fullest_level(); }

void write_v2_group(const fake_root& root, const std::string& directory, std::string_view current,
                    std::string_view max) {
  root.write(directory + "/memory.current", current);
  root.write(directory + "/memory.max", max);
  root.write(directory + "/memory.high", "max\n");
  root.write(directory + "/memory.stat", "anon 1000\nfile 500\ninactive_file 0\nactive_file 500\n");
  root.write(directory + "/memory.swap.current", "0\n");
}

TEST(memory_monitor, reads_the_host_where_no_group_limits) {
  const fake_root root{{"/proc/meminfo", host_quarter_full}};
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "host");
  EXPECT_EQ(reading.limit_bytes, 8192000 * kib);
  EXPECT_EQ(reading.used_bytes, 2048000 * kib);
}

TEST(memory_monitor, docker_v2_with_a_namespace) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/\n"},
      {"/proc/self/mountinfo",
       "812 811 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n"},
      {"/sys/fs/cgroup/memory.current", "201326592\n"},
      {"/sys/fs/cgroup/memory.max", "268435456\n"},
      {"/sys/fs/cgroup/memory.high", "max\n"},
      {"/sys/fs/cgroup/memory.swap.current", "1048576\n"},
      {"/sys/fs/cgroup/memory.stat", "anon 180000000\nfile 20000000\ninactive_file 10485760\n"},
  };
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v2 /sys/fs/cgroup");
  EXPECT_EQ(reading.limit_bytes, 256 * mib);
  EXPECT_EQ(reading.used_bytes, 201326592U - 10485760U + 1048576U);
}

TEST(memory_monitor, docker_v2_without_a_namespace) {
  const std::string scope = "/system.slice/docker-4f2c.scope";
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/system.slice/docker-4f2c.scope\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  write_v2_group(root, "/sys/fs/cgroup" + scope, "100000000\n", "134217728\n");
  write_v2_group(root, "/sys/fs/cgroup/system.slice", "900000000\n", "max\n");
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v2 /sys/fs/cgroup" + scope);
  EXPECT_EQ(reading.limit_bytes, 128 * mib);
  EXPECT_EQ(reading.used_bytes, 100000000U);
}

TEST(memory_monitor, docker_v1_whose_mount_shows_only_its_own_part) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "11:memory:/docker/4f2c\n10:cpu,cpuacct:/docker/4f2c\n0::/system.slice/"
                            "containerd.service\n"},
      {"/proc/self/mountinfo",
       "955 948 0:33 /docker/4f2c /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:15 "
       "- cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"},
      {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "412876800\n"},
      {"/sys/fs/cgroup/memory/memory.stat",
       "cache 9000000\nrss 400000000\nswap 111\ninactive_file 1\nhierarchical_memory_limit "
       "536870912\ntotal_swap 8192\ntotal_inactive_file 4096000\n"},
  };
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v1 /sys/fs/cgroup/memory");
  EXPECT_EQ(reading.limit_bytes, 512 * mib);
  EXPECT_EQ(reading.used_bytes, 412876800U - 4096000U + 8192U);
}

TEST(memory_monitor, v1_takes_the_limit_of_an_ancestor_that_is_not_visible) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "4:memory:/slice/app\n"},
      {"/proc/self/mountinfo", "1 2 0:3 /slice/app /m rw - cgroup cgroup rw,memory\n"},
      {"/m/memory.limit_in_bytes", "9223372036854771712\n"},
      {"/m/memory.usage_in_bytes", "90000000\n"},
      {"/m/memory.stat", "hierarchical_memory_limit 104857600\ninactive_file 0\n"},
  };
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.limit_bytes, 100 * mib);
  EXPECT_EQ(reading.used_bytes, 90000000U);
}

TEST(memory_monitor, v1_without_any_limit_leaves_the_host_to_decide) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "4:memory:/\n"},
      {"/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
      {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "7000000000\n"},
      {"/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 9223372036854771712\n"},
  };
  EXPECT_EQ(fullest(root).source, "host");
}

TEST(memory_monitor, kubernetes_v2_the_pod_can_be_fuller_than_the_container) {
  const std::string pod = "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/"
                          "kubepods-burstable-pod0a1b.slice";
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/kubepods.slice/kubepods-burstable.slice/"
                            "kubepods-burstable-pod0a1b.slice/cri-containerd-77.scope\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  write_v2_group(root, pod + "/cri-containerd-77.scope", "104857600\n", "209715200\n"); // 50 %
  write_v2_group(root, pod, "230686720\n", "314572800\n");                              // 73 %
  write_v2_group(root, "/sys/fs/cgroup/kubepods.slice", "4000000000\n", "8000000000\n");
  auto monitor = monitor_of(root);
  const memory_report& report = monitor.read(0);
  EXPECT_EQ(report.fullest_level().source, "cgroup v2 " + pod);
  EXPECT_EQ(report.fullest_level().used_bytes, 230686720U);
  EXPECT_EQ(report.fullest_level().limit_bytes, 300 * mib);
  EXPECT_EQ(report.levels.size(), 4U); // container, pod, kubepods.slice, host
}

TEST(memory_monitor, kubernetes_v1_burstable) {
  const std::string_view path = "/kubepods/burstable/pod0a1b/77";
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "7:memory:/kubepods/burstable/pod0a1b/77\n"},
      {"/proc/self/mountinfo",
       "955 948 0:33 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"},
  };
  const std::string own = "/sys/fs/cgroup/memory" + std::string(path);
  root.write(own + "/memory.limit_in_bytes", "9223372036854771712\n");
  root.write(own + "/memory.usage_in_bytes", "60000000\n");
  root.write(own + "/memory.stat", "hierarchical_memory_limit 134217728\ntotal_inactive_file 0\n");
  const std::string pod = "/sys/fs/cgroup/memory/kubepods/burstable/pod0a1b";
  root.write(pod + "/memory.limit_in_bytes", "134217728\n");
  root.write(pod + "/memory.usage_in_bytes", "110000000\n");
  root.write(pod + "/memory.stat",
             "hierarchical_memory_limit 134217728\ntotal_inactive_file 5000000\n");
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v1 " + pod);
  EXPECT_EQ(reading.limit_bytes, 128 * mib);
  EXPECT_EQ(reading.used_bytes, 105000000U);
}

TEST(memory_monitor, systemd_slices_with_nested_limits_take_usage_and_limit_of_one_level) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/web.slice/web-cache.slice/cache.service\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  const std::string top = "/sys/fs/cgroup/web.slice";
  write_v2_group(root, top + "/web-cache.slice/cache.service", "50000000\n", "max\n");
  write_v2_group(root, top + "/web-cache.slice", "60000000\n", "100000000\n");
  write_v2_group(root, top, "170000000\n", "200000000\n");
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v2 " + top);
  EXPECT_EQ(reading.used_bytes, 170000000U);
  EXPECT_EQ(reading.limit_bytes, 200000000U);
}

TEST(memory_monitor, memory_high_is_a_limit_too) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/cache.service\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  write_v2_group(root, "/sys/fs/cgroup/cache.service", "50000000\n", "max\n");
  root.write("/sys/fs/cgroup/cache.service/memory.high", "60000000\n");
  EXPECT_EQ(fullest(root).limit_bytes, 60000000U);
  root.write("/sys/fs/cgroup/cache.service/memory.max", "55000000\n");
  EXPECT_EQ(fullest(root).limit_bytes, 55000000U);
}

TEST(memory_monitor, lxc_sees_its_own_group_as_a_part_below_the_mount) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/.lxc/init.scope\n"},
      {"/proc/self/mountinfo",
       "700 690 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 none rw\n"},
  };
  write_v2_group(root, "/sys/fs/cgroup/.lxc/init.scope", "1000000\n", "max\n");
  write_v2_group(root, "/sys/fs/cgroup/.lxc", "2000000\n", "max\n");
  write_v2_group(root, "/sys/fs/cgroup", "700000000\n", "1000000000\n");
  const memory_reading reading = fullest(root);
  EXPECT_EQ(reading.source, "cgroup v2 /sys/fs/cgroup");
  EXPECT_EQ(reading.used_bytes, 700000000U);
}

TEST(memory_monitor, hybrid_reads_memory_where_its_controller_is) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup",
       "8:memory:/user.slice\n1:name=systemd:/user.slice/s.scope\n0::/user.slice/s.scope\n"},
      {"/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                               "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/unified/user.slice/s.scope/cgroup.procs", "1\n"},
      {"/sys/fs/cgroup/memory/user.slice/memory.limit_in_bytes", "400000000\n"},
      {"/sys/fs/cgroup/memory/user.slice/memory.usage_in_bytes", "300000000\n"},
  };
  auto monitor = monitor_of(root);
  const memory_report& report = monitor.read(0);
  EXPECT_EQ(report.fullest_level().source, "cgroup v1 /sys/fs/cgroup/memory/user.slice");
  EXPECT_EQ(report.levels.size(), 2U);
}

TEST(memory_monitor, a_garbled_or_missing_file_means_no_limit_at_that_level) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  const std::string group = "/sys/fs/cgroup/a";
  for (const std::string_view garble :
       {"", "\n", "max", "12 34", "-5\n", "9999999999999999999999", "\xff\xfe\x00", "0\n"}) {
    write_v2_group(root, group, "1000\n", garble);
    EXPECT_EQ(fullest(root).source, "host") << garble;
  }
  write_v2_group(root, group, "what?\n", "8000000000\n");
  EXPECT_EQ(fullest(root).source, "host");

  write_v2_group(root, group, "7000000000\n", "8000000000\n");
  root.remove(group + "/memory.stat");
  root.remove(group + "/memory.swap.current");
  root.remove(group + "/memory.high");
  EXPECT_EQ(fullest(root).source, "cgroup v2 " + group);
  EXPECT_EQ(fullest(root).used_bytes, 7000000000U);
  root.remove(group + "/memory.current");
  EXPECT_EQ(fullest(root).source, "host");
}

TEST(memory_monitor, garbled_membership_and_mounts_leave_the_host_to_decide) {
  for (const std::string_view garble : {"", "\n\n", ":::", "0::/a", "\xff\xff\xff"}) {
    const fake_root root{{"/proc/meminfo", host_quarter_full},
                         {"/proc/self/cgroup", garble},
                         {"/proc/self/mountinfo", garble}};
    EXPECT_EQ(fullest(root).source, "host") << garble;
  }
}

TEST(memory_monitor, sees_a_limit_that_changes_between_two_reads) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  write_v2_group(root, "/sys/fs/cgroup/a", "100000000\n", "200000000\n");
  auto monitor = monitor_of(root);
  EXPECT_EQ(monitor.read(0).fullest_level().limit_bytes, 200000000U);
  root.write("/sys/fs/cgroup/a/memory.max", "120000000\n");
  EXPECT_EQ(monitor.read(0).fullest_level().limit_bytes, 120000000U);
  root.write("/sys/fs/cgroup/a/memory.max", "max\n");
  EXPECT_EQ(monitor.read(0).fullest_level().source, "host");
}

TEST(memory_monitor, follows_the_process_into_another_group_within_ten_reads) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
  write_v2_group(root, "/sys/fs/cgroup/a", "100000000\n", "200000000\n");
  write_v2_group(root, "/sys/fs/cgroup/b", "90000000\n", "100000000\n");
  auto monitor = monitor_of(root);
  EXPECT_EQ(monitor.read(0).fullest_level().source, "cgroup v2 /sys/fs/cgroup/a");
  root.write("/proc/self/cgroup", "0::/b\n");
  for (int reads = 0; reads < 9; ++reads) monitor.read(0);
  EXPECT_EQ(monitor.read(0).fullest_level().source, "cgroup v2 /sys/fs/cgroup/b");
}

TEST(memory_monitor, the_operators_limit_counts_what_this_process_has) {
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/status", "VmRSS:\t  460800 kB\nVmSwap:\t    1024 kB\n"}};
  auto monitor = monitor_of(root, 512 * mib);
  const memory_reading reading = monitor.read(0).fullest_level();
  EXPECT_EQ(reading.source, "--memory-limit");
  EXPECT_EQ(reading.limit_bytes, 512 * mib);
  EXPECT_EQ(reading.used_bytes, 451 * mib);
}

TEST(memory_monitor, the_operators_limit_does_not_hide_a_fuller_host) {
  const fake_root root{{"/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 100 kB\n"},
                       {"/proc/self/status", "VmRSS: 200 kB\n"}};
  auto monitor = monitor_of(root, mib);
  EXPECT_EQ(monitor.read(0).fullest_level().source, "host");
}

TEST(memory_monitor, what_was_swapped_out_of_this_process_counts_on_the_host) {
  const fake_root root{{"/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\n"
                                         "SwapTotal: 500 kB\nSwapFree: 100 kB\n"},
                       {"/proc/self/status", "VmRSS: 200 kB\nVmSwap: 150 kB\n"}};
  EXPECT_EQ(fullest(root).used_bytes, 550 * kib);
}

TEST(memory_monitor, estimates_from_its_own_bytes_where_nothing_can_be_read_and_says_so_once) {
  const fake_root root;
  auto monitor = monitor_of(root);
  const memory_report first = monitor.read(123);
  EXPECT_TRUE(first.estimated);
  EXPECT_TRUE(first.estimate_began);
  EXPECT_EQ(first.fullest_level().source, "estimate");
  EXPECT_EQ(first.fullest_level().used_bytes, 123U);
  EXPECT_EQ(first.fullest_level().limit_bytes, 2048 * mib);
  EXPECT_FALSE(monitor.read(124).estimate_began);
  EXPECT_TRUE(monitor.read(124).estimated);

  root.write("/proc/meminfo", host_quarter_full);
  EXPECT_FALSE(monitor.read(125).estimated);
  root.remove("/proc/meminfo");
  auto limited = monitor_of(root, 64 * mib);
  EXPECT_EQ(limited.read(5).fullest_level().limit_bytes, 64 * mib);
}

TEST(memory_monitor, keeps_to_the_limit_that_was_set_where_the_process_cannot_be_read) {
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/status", "VmRSS: many kB\n"}};
  auto monitor = monitor_of(root, 64 * mib);
  const memory_report& report = monitor.read(60 * mib);
  EXPECT_FALSE(report.estimated);
  EXPECT_EQ(report.fullest_level().source, "--memory-limit");
  EXPECT_EQ(report.fullest_level().used_bytes, 60 * mib);
  EXPECT_EQ(report.fullest_level().limit_bytes, 64 * mib);
}

TEST(memory_monitor, reads_this_very_machine) {
  memory_monitor monitor({});
  const memory_report& report = monitor.read(0);
  EXPECT_FALSE(report.estimated);
  for (const memory_reading& level : report.levels) {
    EXPECT_GT(level.limit_bytes, 0U) << level.source;
    EXPECT_FALSE(level.source.empty());
  }
  EXPECT_TRUE(std::any_of(report.levels.begin(), report.levels.end(),
                          [](const memory_reading& level) { return level.source == "host"; }));
}

} // namespace
} // namespace kvcache
