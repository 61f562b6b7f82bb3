#include "memory/cgroup.hpp"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/fake_root.hpp"

namespace kvcache {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto memory = cgroup_controller::memory;
constexpr auto cpu = cgroup_controller::cpu;

TEST(own_group, v2_is_the_line_with_no_controllers) {
  EXPECT_EQ(parse_own_group("0::/system.slice/cache.service\n", cgroup_version::v2, memory),
            "/system.slice/cache.service");
}

TEST(own_group, v1_is_the_line_that_lists_the_controller) {
  const std::string_view text = "12:cpu,cpuacct:/a\n9:memory:/docker/4f2c\n1:name=systemd:/b\n"
                                "0::/unified\n";
  EXPECT_EQ(parse_own_group(text, cgroup_version::v1, memory), "/docker/4f2c");
  EXPECT_EQ(parse_own_group(text, cgroup_version::v1, cpu), "/a");
  EXPECT_EQ(parse_own_group(text, cgroup_version::v2, memory), "/unified");
}

TEST(own_group, may_have_colons_in_its_path) {
  EXPECT_EQ(parse_own_group("0::/kubepods/cri-containerd:ab:cd\n", cgroup_version::v2, memory),
            "/kubepods/cri-containerd:ab:cd");
}

TEST(own_group, is_absent_from_text_that_names_none) {
  for (const char* bad : {"", "\n", "0::", "0:", "0::relative", "memory", "5:cpu:/x", "::/"}) {
    EXPECT_EQ(parse_own_group(bad, cgroup_version::v1, memory), std::nullopt) << bad;
    EXPECT_EQ(parse_own_group(bad, cgroup_version::v2, memory), std::nullopt) << bad;
  }
}

TEST(cgroup_mounts, are_distinguished_by_type_and_controllers) {
  const std::string_view text =
      "31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw shared:11 master:2 - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb,memory_like\n"
      "41 31 0:38 /docker/4f2c /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";
  const auto v1 = parse_cgroup_mounts(text, cgroup_version::v1, memory);
  ASSERT_EQ(v1.size(), 1U);
  EXPECT_EQ(v1[0].point, "/sys/fs/cgroup/memory");
  EXPECT_EQ(v1[0].root, "/");
  const auto v1_cpu = parse_cgroup_mounts(text, cgroup_version::v1, cpu);
  ASSERT_EQ(v1_cpu.size(), 1U);
  EXPECT_EQ(v1_cpu[0].point, "/sys/fs/cgroup/cpu,cpuacct");
  const auto v2 = parse_cgroup_mounts(text, cgroup_version::v2, memory);
  ASSERT_EQ(v2.size(), 1U);
  EXPECT_EQ(v2[0].root, "/docker/4f2c");
}

TEST(cgroup_mounts, may_have_escaped_characters_in_their_paths) {
  const auto mounts =
      parse_cgroup_mounts("1 2 0:3 /a\\040b /mnt/with\\134back\\011tab rw - cgroup2 none rw\n",
                          cgroup_version::v2, memory);
  ASSERT_EQ(mounts.size(), 1U);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].point, "/mnt/with\\back\ttab");
}

TEST(cgroup_mounts, are_not_taken_from_broken_lines) {
  for (const char* bad : {"", " - cgroup2", "1 2 0:3 - cgroup2 none rw", "1 2 0:3 / - cgroup2 x rw",
                          "1 2 0:3 root point rw - cgroup2 none rw", "1 2 0:3 / /m rw - cgroup",
                          "1 2 0:3 / /m rw cgroup2 none rw", "1 2 0:3 / /m rw - cgroup x"}) {
    EXPECT_THAT(parse_cgroup_mounts(bad, cgroup_version::v1, memory), IsEmpty()) << bad;
    EXPECT_THAT(parse_cgroup_mounts(bad, cgroup_version::v2, memory), IsEmpty()) << bad;
  }
}

TEST(group_directories, are_listed_from_the_own_group_up_to_the_mount_point) {
  EXPECT_THAT(group_directories({.root = "/", .point = "/sys/fs/cgroup"}, "/a/b"),
              ElementsAre("/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"));
  EXPECT_THAT(group_directories({.root = "/", .point = "/cg"}, "/"), ElementsAre("/cg"));
}

TEST(group_directories, leave_out_what_a_partial_mount_does_not_show) {
  EXPECT_THAT(group_directories({.root = "/docker/4f2c", .point = "/cg"}, "/docker/4f2c"),
              ElementsAre("/cg"));
  EXPECT_THAT(group_directories({.root = "/docker/4f2c", .point = "/cg"}, "/docker/4f2c/in/side"),
              ElementsAre("/cg/in/side", "/cg/in", "/cg"));
}

TEST(group_directories, are_none_where_the_mount_shows_another_part) {
  EXPECT_THAT(group_directories({.root = "/docker/4f2c", .point = "/cg"}, "/"), IsEmpty());
  EXPECT_THAT(group_directories({.root = "/docker/4f", .point = "/cg"}, "/docker/4f2c"), IsEmpty());
  EXPECT_THAT(group_directories({.root = "/..", .point = "/cg"}, "/"), IsEmpty());
}

TEST(group_directories, never_leave_the_mount) {
  EXPECT_THAT(group_directories({.root = "/", .point = "/cg"}, "/../../etc"), IsEmpty());
  EXPECT_THAT(group_directories({.root = "/..", .point = "/cg"}, "/../sibling"),
              ElementsAre("/cg/sibling", "/cg"));
}

TEST(find_groups, uses_the_mount_point_if_no_mount_shows_the_own_group) {
  const test::fake_root root;
  root.make_directory("/sys/fs/cgroup");
  const auto groups = find_groups("0::/\n", "1 2 0:3 /../.. /sys/fs/cgroup rw - cgroup2 c rw\n",
                                  memory, root.path());
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].path, "/sys/fs/cgroup");
}

TEST(find_groups, prefers_the_mount_that_shows_more_levels) {
  const test::fake_root root;
  root.make_directory("/part");
  root.make_directory("/whole/a/b");
  const auto groups = find_groups("0::/a/b\n",
                                  "1 2 0:3 /a/b /part rw - cgroup2 c rw\n"
                                  "4 2 0:3 / /whole rw - cgroup2 c rw\n",
                                  memory, root.path());
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].path, "/whole/a/b");
  EXPECT_EQ(groups[2].path, "/whole");
}

TEST(find_groups, omits_missing_directories) {
  const test::fake_root root;
  root.make_directory("/cg/a");
  const auto groups =
      find_groups("0::/a/gone\n", "1 2 0:3 / /cg rw - cgroup2 c rw\n", memory, root.path());
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].path, "/cg/a");
}

TEST(find_groups, bounds_the_number_of_levels) {
  const test::fake_root root;
  std::string deep;
  for (int level = 0; level < 100; ++level) deep += "/x";
  root.make_directory("/cg" + deep);
  const auto groups =
      find_groups("0::" + deep + "\n", "1 2 0:3 / /cg rw - cgroup2 c rw\n", memory, root.path());
  EXPECT_EQ(groups.size(), 32U);
}

TEST(memory_limit, is_a_plain_number_of_bytes) {
  EXPECT_EQ(parse_memory_limit("268435456\n"), 268435456U);
}

TEST(memory_limit, is_none_if_the_kernel_reports_none) {
  for (const char* none :
       {"max\n", "max", "9223372036854771712\n", "9223372036854710272\n", "9223372036854775807\n",
        "18446744073709551615\n", "1152921504606846976\n"}) {
    EXPECT_EQ(parse_memory_limit(none), no_limit_bytes) << none;
  }
}

TEST(memory_limit, is_unknown_where_the_text_is_none_of_the_kernels) {
  for (const char* unknown : {"", "\n", "0\n", "-1\n", "256M\n", "maximum\n", "12 34\n",
                              "99999999999999999999\n", "\xff\xfe"}) {
    EXPECT_EQ(parse_memory_limit(unknown), std::nullopt) << unknown;
  }
}

TEST(group_stat, of_v2_is_the_page_cache_the_reclaimable_slab_and_the_compressed_pages) {
  const group_stat stat = parse_group_stat("anon 1\nfile 1000\nshmem 300\nfile_dirty 20\n"
                                           "file_writeback 5\ninactive_anon 300\n"
                                           "inactive_file 600\nactive_file 90\nunevictable 10\n"
                                           "slab_reclaimable 70\nslab_unreclaimable 9\n"
                                           "slab 79\nzswap 40\nzswapped 160\n",
                                           cgroup_version::v2);
  EXPECT_EQ(stat.file_bytes, 690U);
  EXPECT_EQ(stat.unwritten_bytes, 25U);
  EXPECT_EQ(stat.slab_reclaimable_bytes, 70U);
  EXPECT_EQ(stat.zswap_bytes, 40U);
}

TEST(group_stat, of_v1_counts_the_groups_below_where_they_are_counted) {
  const std::string alone = "cache 9\ndirty 1\nwriteback 2\ninactive_file 30\nactive_file 40\n";
  const group_stat flat = parse_group_stat(alone, cgroup_version::v1);
  EXPECT_EQ(flat.file_bytes, 70U);
  EXPECT_EQ(flat.unwritten_bytes, 3U);
  const group_stat with_all_below =
      parse_group_stat(alone + "total_dirty 100\ntotal_writeback 200\ntotal_inactive_file 3000\n"
                               "total_active_file 4000\n",
                       cgroup_version::v1);
  EXPECT_EQ(with_all_below.file_bytes, 7000U);
  EXPECT_EQ(with_all_below.unwritten_bytes, 300U);
}

TEST(group_stat, is_all_zero_where_the_text_has_no_figures) {
  for (const char* bad : {"", "active_file", "active_file many\ninactive_file -1\nzswap\n"}) {
    const group_stat stat = parse_group_stat(bad, cgroup_version::v2);
    EXPECT_EQ(stat.file_bytes + stat.unwritten_bytes + stat.slab_reclaimable_bytes, 0U) << bad;
  }
}

TEST(reclaimable_bytes, are_clean_page_cache_and_slab_but_for_a_working_set) {
  constexpr std::uint64_t mib = std::uint64_t{1} << 20;
  constexpr std::uint64_t limit = 256 * mib;
  constexpr std::uint64_t watermark = 2560 << 10; // that of a machine of 256 MiB
  struct some {
    group_stat stat;
    std::uint64_t reclaimable;
  };
  const some table[] = {
      {{}, 0},
      {{.file_bytes = 100 * mib}, 100 * mib - watermark},
      {{.file_bytes = 100 * mib, .unwritten_bytes = 40 * mib}, 60 * mib - watermark},
      {{.file_bytes = 10 * mib, .unwritten_bytes = 40 * mib}, 0},
      {{.slab_reclaimable_bytes = 30 * mib}, 30 * mib - watermark},
      {{.file_bytes = 2 * mib, .slab_reclaimable_bytes = 4 * mib}, 3 * mib},
      {{.zswap_bytes = 50 * mib}, 0},
  };
  for (const some& each : table) {
    EXPECT_EQ(reclaimable_bytes(each.stat, limit), each.reclaimable)
        << each.stat.file_bytes << ' ' << each.stat.unwritten_bytes;
  }
}

TEST(own_zswap_bytes, are_the_own_share_of_all_that_is_swapped_out) {
  EXPECT_EQ(own_zswap_bytes(100, 0, 0), 0U);
  EXPECT_EQ(own_zswap_bytes(100, 0, 40), 0U);
  EXPECT_EQ(own_zswap_bytes(100, 40, 0), 0U);
  EXPECT_EQ(own_zswap_bytes(100, 10, 40), 25U);
  EXPECT_EQ(own_zswap_bytes(100, 40, 40), 100U);
  EXPECT_EQ(own_zswap_bytes(100, 50, 40), 100U);
}

TEST(cgroup_parsers, survive_any_bytes) {
  std::mt19937 random(42); // NOLINT(bugprone-random-generator-seed): repeatable on purpose
  const std::string_view alphabet("0:/,. -\n\\170cgroup2memory\0\xff", 27);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 80, '\0');
    for (char& byte : bytes) byte = alphabet[random() % alphabet.size()];
    for (const auto version : {cgroup_version::v1, cgroup_version::v2}) {
      const auto own = parse_own_group(bytes, version, memory);
      EXPECT_EQ(own.value_or("/").front(), '/');
      for (const auto& mount : parse_cgroup_mounts(bytes, version, memory)) {
        for (const auto& path : group_directories(mount, own.value_or("/"))) {
          EXPECT_EQ(path.front(), '/');
        }
      }
    }
    EXPECT_NE(parse_memory_limit(bytes), 0U);
  }
}

} // namespace
} // namespace kvcache
