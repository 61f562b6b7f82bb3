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

TEST(cgroup_mounts, are_told_apart_by_type_and_controllers) {
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

TEST(group_directories, climb_from_the_own_group_to_the_mount_point) {
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

TEST(find_groups, takes_the_mount_point_where_the_own_group_is_shown_nowhere) {
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

TEST(find_groups, leaves_out_directories_that_are_not_there) {
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

TEST(memory_limit, is_none_where_it_is_unlimited_absurd_or_garbled) {
  for (const char* none : {"max\n", "9223372036854771712\n", "9223372036854710272\n",
                           "9223372036854775807\n", "18446744073709551615\n",
                           "1152921504606846976\n", "", "0\n", "-1\n", "256M\n", "\xff\xfe"}) {
    EXPECT_EQ(parse_memory_limit(none), std::nullopt) << none;
  }
}

TEST(memory_limit, of_two_is_the_lower) {
  EXPECT_EQ(lower_limit(5, 3), 3U);
  EXPECT_EQ(lower_limit(5, std::nullopt), 5U);
  EXPECT_EQ(lower_limit(std::nullopt, 3), 3U);
  EXPECT_EQ(lower_limit(std::nullopt, std::nullopt), std::nullopt);
}

TEST(used_bytes, counts_swap_and_not_the_droppable_page_cache) {
  EXPECT_EQ(used_bytes(100, 30, 5), 75U);
  EXPECT_EQ(used_bytes(10, 30, 5), 5U);
  EXPECT_EQ(used_bytes(UINT64_MAX, 0, 5), UINT64_MAX);
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
