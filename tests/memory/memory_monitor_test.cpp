#include "memory/memory_monitor.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "memory/descriptor_limit.hpp"
#include "memory/fake_root.hpp"
#include "memory/meminfo.hpp"
#include "memory/vanishing_file.hpp"

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
  root.write(directory + "/memory.stat", "anon 1000\nfile 500\ninactive_file 0\nactive_file 0\n");
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
      {"/proc/self/status", "VmRSS: 200000 kB\nVmSwap: 1024 kB\n"},
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
  EXPECT_EQ(reading.used_bytes, 201326592U - (10485760U - 2560 * kib) + 1048576U);
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
      {"/proc/self/status", "VmRSS: 400000 kB\nVmSwap: 8 kB\n"},
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
  EXPECT_EQ(reading.used_bytes, 412876800U - 4096000U / 2 + 8192U);
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

TEST(memory_monitor, v1_without_any_limit_leaves_the_hosts_limit) {
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
  EXPECT_EQ(reading.used_bytes, 110000000U - (5000000U - 1853638U)); // low watermark of 128 MiB
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

TEST(memory_monitor, a_limit_that_never_could_be_read_is_none) {
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
}

TEST(memory_monitor, does_not_require_files_that_some_kernels_lack) {
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/proc/self/mountinfo", v2_mount},
      {"/sys/fs/cgroup/a/memory.max", "8000000000\n"},
      {"/sys/fs/cgroup/a/memory.current", "7000000000\n"},
  };
  EXPECT_EQ(fullest(root).source, "cgroup v2 /sys/fs/cgroup/a");
  EXPECT_EQ(fullest(root).used_bytes, 7000000000U);
}

TEST(memory_monitor, garbled_membership_and_mounts_leave_the_hosts_limit) {
  for (const std::string_view garble : {"", "\n\n", ":::", "0::/a", "\xff\xff\xff"}) {
    const fake_root root{{"/proc/meminfo", host_quarter_full},
                         {"/proc/self/cgroup", garble},
                         {"/proc/self/mountinfo", garble}};
    EXPECT_EQ(fullest(root).source, "host") << garble;
  }
}

TEST(memory_monitor, reads_a_limit_that_changes_between_two_reads) {
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

TEST(memory_monitor, the_operators_limit_counts_the_resident_memory_of_this_process) {
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

TEST(memory_monitor, what_one_instance_can_address_is_a_limit_on_a_larger_machine) {
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/status", "VmRSS: 1024000 kB\nVmSwap: 1024 kB\n"}};
  for (const std::uint64_t operators : {std::uint64_t{0}, 4096 * mib}) {
    memory_monitor monitor{
        {.root = root.path(), .memory_limit_bytes = operators, .addressable_bytes = 2048 * mib}};
    const memory_report& report = monitor.read(0);
    ASSERT_EQ(report.levels.size(), 2U);
    EXPECT_EQ(report.levels[0].source, "host");
    EXPECT_EQ(report.levels[1].source,
              "the most that one instance can address; run several to use more");
    EXPECT_EQ(report.levels[1].limit_bytes, 2048 * mib);
    EXPECT_EQ(report.levels[1].used_bytes, 1001 * mib);
    EXPECT_EQ(report.fullest, 1U);
    EXPECT_FALSE(report.estimated);
  }
}

TEST(memory_monitor, what_one_instance_can_address_is_no_limit_where_another_is_lower) {
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/status", "VmRSS: 1024000 kB\n"}};
  memory_monitor on_small_machine{{.root = root.path(), .addressable_bytes = 8001 * mib}};
  ASSERT_EQ(on_small_machine.read(0).levels.size(), 1U);
  EXPECT_EQ(on_small_machine.read(0).levels[0].source, "host");
  memory_monitor limited{
      {.root = root.path(), .memory_limit_bytes = 1024 * mib, .addressable_bytes = 2048 * mib}};
  ASSERT_EQ(limited.read(0).levels.size(), 2U);
  EXPECT_EQ(limited.read(0).levels[1].source, "--memory-limit");
}

TEST(memory_monitor, what_was_swapped_out_of_this_process_counts_on_the_host) {
  const fake_root root{{"/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\n"
                                         "SwapTotal: 500 kB\nSwapFree: 100 kB\n"},
                       {"/proc/self/status", "VmRSS: 200 kB\nVmSwap: 150 kB\n"}};
  EXPECT_EQ(fullest(root).used_bytes, 550 * kib);
}

TEST(memory_monitor, what_zswap_holds_of_this_process_counts_once_on_the_host) {
  const fake_root root{{"/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\n"
                                         "SwapTotal: 500 kB\nSwapFree: 200 kB\nZswap: 80 kB\n"},
                       {"/proc/self/status", "VmRSS: 200 kB\nVmSwap: 150 kB\n"}};
  EXPECT_EQ(fullest(root).used_bytes, (400 + 150 - 40) * kib);
}

// ---- groups shared with others
// -------------------------------------------------------------------

// A slice of 8 GiB: a sibling has 1 GiB resident and 4 GiB swapped out, this process 1.5 GiB.
// `further` goes into memory.stat, `further_bytes` is what it adds to the charge.
// Percent of the slice that is reported as used.
double used_of_slice(cgroup_version version, std::string_view further, std::uint64_t further_bytes,
                     std::string_view vm_swap = "0 kB") {
  const bool v2 = version == cgroup_version::v2;
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/cgroup", v2 ? "0::/app\n" : "4:memory:/app\n"},
                       {"/proc/self/mountinfo", v2 ? "1 0 0:1 / /cg rw - cgroup2 none rw\n"
                                                   : "1 0 0:1 / /cg rw - cgroup none rw,memory\n"}};
  root.write("/proc/self/status", "VmRSS: 1572864 kB\nVmSwap: " + std::string(vm_swap) + "\n");
  root.write(v2 ? "/cg/app/memory.max" : "/cg/app/memory.limit_in_bytes", "8589934592\n");
  root.write(v2 ? "/cg/app/memory.current" : "/cg/app/memory.usage_in_bytes",
             std::to_string(2560 * mib + further_bytes) + "\n");
  root.write("/cg/app/memory.swap.current", "4294967296\n");
  root.write("/cg/app/memory.stat", "anon 2684354560\ntotal_rss 2684354560\nswap 4294967296\n"
                                    "total_swap 4294967296\n" +
                                        std::string(further));
  auto monitor = monitor_of(root);
  const memory_reading group = monitor.read(1536 * mib).levels.front();
  EXPECT_TRUE(group.source.starts_with("cgroup")) << group.source;
  return 100.0 * static_cast<double>(group.used_bytes) / static_cast<double>(group.limit_bytes);
}

constexpr double of_slice_percent = 100 * 2.5 / 8;

TEST(memory_monitor, what_others_have_swapped_out_of_a_shared_group_is_not_use) {
  EXPECT_NEAR(used_of_slice(cgroup_version::v2, "", 0), of_slice_percent, 2);
  EXPECT_NEAR(used_of_slice(cgroup_version::v1, "", 0), of_slice_percent, 2);
}

TEST(memory_monitor, page_cache_and_slab_that_the_kernel_reclaims_are_not_use) {
  constexpr std::uint64_t gib = 1024 * mib;
  EXPECT_NEAR(used_of_slice(cgroup_version::v2,
                            "inactive_file 1073741824\nactive_file 2147483648\n"
                            "slab_reclaimable 1073741824\n",
                            4 * gib),
              of_slice_percent, 2);
  EXPECT_NEAR(used_of_slice(cgroup_version::v1,
                            "inactive_file 1\nactive_file 1\n"
                            "total_inactive_file 1073741824\n"
                            "total_active_file 2147483648\n",
                            3 * gib),
              of_slice_percent, 2);
}

TEST(memory_monitor, tmpfs_locked_and_unwritten_page_cache_is_use) {
  constexpr std::uint64_t gib = 1024 * mib;
  EXPECT_NEAR(used_of_slice(cgroup_version::v2,
                            "file 4294967296\nshmem 1073741824\n"
                            "inactive_anon 1073741824\nunevictable 1073741824\n"
                            "inactive_file 2147483648\nactive_file 0\n"
                            "file_dirty 1073741824\nfile_writeback 1073741824\n",
                            4 * gib),
              100 * 6.5 / 8, 0.5);
  EXPECT_NEAR(used_of_slice(cgroup_version::v1,
                            "total_cache 4294967296\ntotal_shmem 1073741824\n"
                            "total_unevictable 1073741824\n"
                            "total_inactive_file 2147483648\ntotal_active_file 0\n"
                            "total_dirty 1073741824\ntotal_writeback 1073741824\n",
                            4 * gib),
              100 * 6.5 / 8, 0.5);
}

TEST(memory_monitor, own_pages_in_swap_are_use_and_count_once_where_zswap_has_compressed_them) {
  // 2 of the 4 GiB in swap are ours, and so is half of the gigabyte they are compressed to.
  EXPECT_NEAR(used_of_slice(cgroup_version::v2, "zswap 1073741824\n", 1024 * mib, "2097152 kB"),
              100 * (2.5 + 1 + 2 - 0.5) / 8, 0.1);
  EXPECT_NEAR(used_of_slice(cgroup_version::v1, "", 0, "2097152 kB"), 100 * 4.5 / 8, 0.1);
}

// ---- readings that fail
// --------------------------------------------------------------------------

// A reading while this process cannot open anything.
memory_report read_without_descriptors(memory_monitor& monitor, std::uint64_t own_bytes = 0) {
  const test::no_descriptors_left none;
  return monitor.read(own_bytes);
}

const memory_reading* level_named(const memory_report& report, std::string_view source) {
  for (const memory_reading& level : report.levels) {
    if (level.source == source) return &level;
  }
  return nullptr;
}

class memory_monitor_failing : public ::testing::Test {
protected:
  const fake_root root{
      {"/proc/meminfo", host_quarter_full},
      {"/proc/self/status", "VmRSS: 100 kB\n"},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/proc/self/mountinfo", v2_mount},
  };
};

TEST_F(memory_monitor_failing, a_limit_set_when_no_descriptor_is_left_is_read) {
  write_v2_group(root, "/sys/fs/cgroup/a", "150000000\n", "max\n");
  auto monitor = monitor_of(root);
  EXPECT_EQ(monitor.read(0).fullest_level().source, "host");
  root.write("/sys/fs/cgroup/a/memory.max", "200000000\n");
  const memory_report report = read_without_descriptors(monitor);
  EXPECT_EQ(report.fullest_level().source, "cgroup v2 /sys/fs/cgroup/a");
  EXPECT_EQ(report.fullest_level().used_bytes, 150000000U);
}

TEST_F(memory_monitor_failing, a_group_that_cannot_be_opened_yet_leaves_the_former_one_in_force) {
  write_v2_group(root, "/sys/fs/cgroup/a", "150000000\n", "200000000\n");
  write_v2_group(root, "/sys/fs/cgroup/b", "90000000\n", "100000000\n");
  auto monitor = monitor_of(root);
  monitor.read(0);
  root.write("/proc/self/cgroup", "0::/b\n");
  for (int reads = 0; reads < 20; ++reads) {
    ASSERT_EQ(read_without_descriptors(monitor).fullest_level().source,
              "cgroup v2 /sys/fs/cgroup/a");
  }
  for (int reads = 0; reads < 9; ++reads) monitor.read(0);
  EXPECT_EQ(monitor.read(0).fullest_level().source, "cgroup v2 /sys/fs/cgroup/b");
}

TEST_F(memory_monitor_failing, a_group_whose_mount_is_hidden_stays_in_force) {
  write_v2_group(root, "/sys/fs/cgroup/a", "150000000\n", "200000000\n");
  auto monitor = monitor_of(root);
  monitor.read(0);
  root.write("/proc/self/mountinfo", "30 23 0:26 / /elsewhere rw - tmpfs none rw\n");
  for (int reads = 0; reads < 20; ++reads)
    ASSERT_EQ(monitor.read(0).fullest_level().limit_bytes, 200000000U) << reads;
  // Wherever it is moved to, nothing else is known.
  root.write("/proc/self/cgroup", "0::/b\n");
  for (int reads = 0; reads < 20; ++reads)
    ASSERT_EQ(monitor.read(0).fullest_level().limit_bytes, 200000000U) << reads;
}

TEST_F(memory_monitor_failing, keeps_a_known_limit_if_its_file_disappears) {
  write_v2_group(root, "/sys/fs/cgroup/a", "900\n", "max\n");
  test::vanishing_file limit(1000);
  root.link("/sys/fs/cgroup/a/memory.max", limit.path());
  auto monitor = monitor_of(root);
  ASSERT_EQ(monitor.read(0).fullest_level().limit_bytes, 1000U);
  limit.remove();
  for (int reads = 0; reads < 20; ++reads) {
    const memory_reading reading = monitor.read(0).fullest_level();
    ASSERT_EQ(reading.source, "cgroup v2 /sys/fs/cgroup/a") << reads;
    ASSERT_EQ(reading.limit_bytes, 1000U);
    ASSERT_EQ(reading.used_bytes, 900U);
  }
  // The group is made anew, with another limit.
  const test::vanishing_file lower(950);
  root.link("/sys/fs/cgroup/a/memory.max", lower.path());
  EXPECT_EQ(monitor.read(0).fullest_level().limit_bytes, 950U);
}

TEST_F(memory_monitor_failing, keeps_a_known_limit_through_garbled_text_until_it_reads_max) {
  write_v2_group(root, "/sys/fs/cgroup/a", "150000000\n", "200000000\n");
  auto monitor = monitor_of(root);
  monitor.read(0);
  for (const std::string_view garble : {"", "\n", "12 34", "-5\n", "\xff\xfe\x00", "0\n"}) {
    root.write("/sys/fs/cgroup/a/memory.max", garble);
    EXPECT_EQ(monitor.read(0).fullest_level().limit_bytes, 200000000U) << garble;
  }
  root.write("/sys/fs/cgroup/a/memory.max", "max\n");
  EXPECT_EQ(monitor.read(0).fullest_level().source, "host");
}

TEST_F(memory_monitor_failing,
       estimates_unreadable_use_from_the_others_last_use_and_the_caches_own_bytes) {
  write_v2_group(root, "/sys/fs/cgroup/a", "1000\n", "100000\n");
  test::vanishing_file use(700);
  root.link("/sys/fs/cgroup/a/memory.current", use.path());
  auto monitor = monitor_of(root);
  const auto used = [&](std::uint64_t own_bytes) {
    const auto* level = level_named(monitor.read(own_bytes), "cgroup v2 /sys/fs/cgroup/a");
    return level == nullptr ? 0 : level->used_bytes;
  };
  EXPECT_EQ(used(300), 700U);
  use.remove();
  EXPECT_EQ(used(300), 700U);
  EXPECT_EQ(used(5300), 5700U);
  EXPECT_EQ(used(0), 400U);
}

TEST_F(memory_monitor_failing, estimates_use_that_was_never_read_from_the_next_outer_level) {
  write_v2_group(root, "/sys/fs/cgroup/a", "what?\n", "200000000\n");
  write_v2_group(root, "/sys/fs/cgroup", "120000000\n", "900000000\n");
  EXPECT_EQ(fullest(root).source, "cgroup v2 /sys/fs/cgroup/a");
  EXPECT_EQ(fullest(root).used_bytes, 120000000U);
  root.remove("/sys/fs/cgroup/memory.max"); // now it is the host's, which is more than the limit
  EXPECT_EQ(fullest(root).source, "cgroup v2 /sys/fs/cgroup/a");
  EXPECT_EQ(fullest(root).used_bytes, 200000000U);
}

TEST_F(memory_monitor_failing, keeps_a_known_host_if_its_file_disappears) {
  auto monitor = monitor_of(root);
  monitor.read(100 * mib);
  root.write("/proc/meminfo", "");
  const memory_report& report = monitor.read(150 * mib);
  EXPECT_FALSE(report.estimated);
  EXPECT_EQ(report.fullest_level().source, "host");
  EXPECT_EQ(report.fullest_level().limit_bytes, 8000 * mib);
  EXPECT_EQ(report.fullest_level().used_bytes, 2050 * mib);
}

TEST(memory_monitor, uses_sysinfo_if_no_level_can_be_read_and_reports_it_once) {
  const fake_root root;
  auto monitor = monitor_of(root);
  const memory_report first = monitor.read(123);
  EXPECT_TRUE(first.estimated);
  EXPECT_TRUE(first.estimate_began);
  ASSERT_EQ(first.levels.size(), 1U);
  EXPECT_EQ(first.fullest_level().source, "sysinfo");
  EXPECT_EQ(first.fullest_level().limit_bytes, read_machine_memory().total_bytes);
  EXPECT_GT(first.fullest_level().used_bytes, 0U);
  EXPECT_FALSE(monitor.read(124).estimate_began);
  EXPECT_TRUE(monitor.read(124).estimated);

  root.write("/proc/meminfo", host_quarter_full);
  EXPECT_FALSE(monitor.read(125).estimated);
}

TEST(memory_monitor, uses_its_own_bytes_and_the_operators_limit_if_no_level_can_be_read) {
  const fake_root root;
  auto limited = monitor_of(root, 64 * mib);
  const memory_report& report = limited.read(5);
  EXPECT_TRUE(report.estimated);
  EXPECT_EQ(report.fullest_level().limit_bytes, 64 * mib);
  EXPECT_EQ(report.fullest_level().used_bytes, 5U);
}

TEST(memory_monitor, estimates_use_of_the_machine_beside_what_can_be_addressed) {
  const fake_root root;
  memory_monitor monitor{{.root = root.path(), .addressable_bytes = 64 * mib}};
  const memory_report& report = monitor.read(5);
  EXPECT_TRUE(report.estimated);
  ASSERT_EQ(report.levels.size(), 2U);
  EXPECT_EQ(report.levels[0].limit_bytes, 64 * mib);
  EXPECT_EQ(report.levels[1].source, "sysinfo");
}

// What a procfs that is mounted with subset=pid has: no meminfo, but everything of the process.
TEST(memory_monitor, uses_sysinfo_if_only_processes_are_visible) {
  const fake_root root{{"/proc/self/status", "VmRSS: 4096 kB\n"},
                       {"/proc/self/cgroup", "0::/a\n"},
                       {"/proc/self/mountinfo", v2_mount}};
  write_v2_group(root, "/sys/fs/cgroup/a", "100000000\n", "max\n");
  const memory_reading machine = fullest(root);
  EXPECT_EQ(machine.source, "sysinfo");
  EXPECT_EQ(machine.limit_bytes, read_machine_memory().total_bytes);

  root.write("/sys/fs/cgroup/a/memory.max", "200000000\n");
  EXPECT_EQ(fullest(root).source, "cgroup v2 /sys/fs/cgroup/a");
}

TEST(memory_monitor, no_limit_exceeds_the_machine_where_the_host_cannot_be_read) {
  const fake_root root{{"/proc/self/status", "VmRSS: 4096 kB\n"},
                       {"/proc/self/cgroup", "0::/a\n"},
                       {"/proc/self/mountinfo", v2_mount}};
  constexpr std::uint64_t more_than_any = std::uint64_t{1} << 59;
  write_v2_group(root, "/sys/fs/cgroup/a", "100000000\n", std::to_string(more_than_any));
  auto monitor = monitor_of(root, more_than_any);
  const memory_report& report = monitor.read(0);
  EXPECT_EQ(report.levels.size(), 2U);
  for (const memory_reading& level : report.levels)
    EXPECT_EQ(level.limit_bytes, read_machine_memory().total_bytes) << level.source;
  EXPECT_EQ(report.levels.back().source, "sysinfo"); // and not the operator's limit
}

TEST(memory_monitor, keeps_the_configured_limit_if_the_process_cannot_be_read) {
  const fake_root root{{"/proc/meminfo", host_quarter_full},
                       {"/proc/self/status", "VmRSS: many kB\n"}};
  auto monitor = monitor_of(root, 64 * mib);
  const memory_report& report = monitor.read(60 * mib);
  EXPECT_FALSE(report.estimated);
  EXPECT_EQ(report.fullest_level().source, "--memory-limit");
  EXPECT_EQ(report.fullest_level().used_bytes, 60 * mib);
  EXPECT_EQ(report.fullest_level().limit_bytes, 64 * mib);
}

TEST(memory_monitor, reads_this_machine) {
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
