// What only control groups v2 have, or count in their own way: memory.high, nested groups, swap and
// zswap, page cache, a private cgroup namespace. The real binary in real groups.
//
// Needs root and v2 as the machine's memory controller. Where REQUIRED_CGROUPS is `v2` in
// the environment their absence is a failure, elsewhere a skip. Cases that need swap,
// memory.reclaim (Linux 5.19) or a file system with page cache (in $TMPDIR) skip by themselves
// where there is none.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pressure/ballast.hpp"
#include "pressure/bulk_client.hpp"
#include "pressure/limited_server.hpp"
#include "pressure/memory_cgroup.hpp"
#include "pressure/use_record.hpp"
#include "support/server_process.hpp"

namespace kvcache::test {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// Where use settles under endless writes, in percent of the limit.
constexpr use_range settled{68, 75};

// Few and large, so that emulated machines are filled in time.
constexpr numbered_entries entries{1000};

// What one of them takes at least.
constexpr std::uint64_t entry_bytes = 1024;

std::uint64_t machine_swap_bytes() {
  std::ifstream in("/proc/meminfo");
  std::string word;
  while (in >> word) {
    std::uint64_t kib = 0;
    if (word == "SwapTotal:" && in >> kib) return kib * 1024;
  }
  return 0;
}

class pressure_v2 : public testing::Test {
protected:
  // False: skipped or failed already. Groups are removed in reverse order.
  bool make_group(std::uint64_t limit_bytes, const memory_cgroup* parent = nullptr) {
    std::string why_not = "the memory controller is not v2's";
    auto made =
        memory_cgroup::is_v2() ? memory_cgroup::create(limit_bytes, why_not, parent) : std::nullopt;
    if (made) {
      groups_.push_back(std::make_unique<memory_cgroup>(std::move(*made)));
      return true;
    }
    const char* required = std::getenv("REQUIRED_CGROUPS");
    if (required != nullptr && std::strcmp(required, "v2") == 0)
      ADD_FAILURE() << "no v2 group, though they are required: " << why_not;
    else
      skip("no control group v2 can be made: " + why_not);
    return false;
  }
  void start(memory_cgroup& group, std::vector<std::string> launcher = {}) {
    if (launcher.empty()) launcher = group.launcher();
    server_.emplace(group, std::vector<std::string>{"--threads", "2", "--max-value-chars", "1000"},
                    std::move(launcher));
  }
  static void skip(const std::string& why) { GTEST_SKIP() << "SKIPPED: " << why; }

  void TearDown() override {
    if (server_) {
      EXPECT_NO_THROW(server_->look()) << server_->output();
    }
    for (const auto& group : groups_) EXPECT_EQ(group->oom_kills(), 0U) << group->path();
    server_.reset();
    while (!groups_.empty()) groups_.pop_back();
  }

  memory_cgroup& group(std::size_t number = 0) { return *groups_[number]; }
  limited_server& server() { return *server_; }

  // So many bytes of entries.
  std::uint64_t put(std::uint64_t bytes, std::uint64_t first = 0) {
    const std::uint64_t count = bytes / entry_bytes;
    const bulk_result written = put_all(server().port(), entries, first, count, 4);
    EXPECT_EQ(written.ok, count) << written.refused << " refused, " << written.other << " failed";
    EXPECT_EQ(written.corrupt, 0U);
    return count;
  }
  void expect_all_there(std::uint64_t count) {
    const bulk_result read = get_all(server().port(), entries, 0, count, 4);
    EXPECT_EQ(read.ok, count) << read.missed << " missed";
    EXPECT_EQ(read.corrupt, 0U);
    EXPECT_EQ(server().look().evictions(), 0U);
  }

  // Until what has happened by now is in the server's figures.
  void await_readings() {
    const auto runs = [](const limited_server::state& at) {
      return at.stats["eviction"]["runs"].get<std::uint64_t>();
    };
    const std::uint64_t before = runs(server().look());
    server().look_until([&](const auto& at) { return runs(at) >= before + 2; });
  }

  // Of a limit, by the server's own reading.
  double reported_percent() {
    const auto memory = server().look().stats["memory"];
    return 100 * memory["used_bytes"].get<double>() / memory["limit_bytes"].get<double>();
  }
  std::string reported_source() { return server().look().stats["memory"]["source"]; }

private:
  std::vector<std::unique_ptr<memory_cgroup>> groups_;
  std::optional<limited_server> server_; // ends before its group
};

double percent_of(std::uint64_t limit_bytes, const memory_cgroup& group) {
  return 100 * static_cast<double>(group.usage_bytes()) / static_cast<double>(limit_bytes);
}

TEST_F(pressure_v2, stays_below_memory_high_and_follows_it_down_and_up) {
  constexpr std::uint64_t high = 64 * mib;
  constexpr std::uint64_t lowered = 52 * mib;
  if (!make_group(128 * mib)) return;
  group().set_high_bytes(high);
  start(group());
  put(high);
  EXPECT_TRUE(settled.has(percent_of(high, group()))) << percent_of(high, group());
  EXPECT_EQ(server().look().stats["memory"]["limit_bytes"], high);

  group().set_high_bytes(lowered);
  const auto is_settled = [&](const auto&) { return settled.has(percent_of(lowered, group())); };
  const auto followed = server().look_until(is_settled);
  EXPECT_TRUE(is_settled(followed)) << percent_of(lowered, group());
  EXPECT_EQ(followed.stats["memory"]["limit_bytes"], lowered);
  std::printf("memory.high passed %lu times\n", static_cast<unsigned long>(group().events("high")));

  group().set_high_bytes(128 * mib);
  const auto raised = server().look_until([](const auto& at) { return at.tier() == "normal"; });
  EXPECT_EQ(raised.tier(), "normal");
  const std::uint64_t evicted = raised.evictions();
  put(16 * mib, std::uint64_t{1} << 40);
  EXPECT_EQ(server().look().evictions(), evicted); // there is room again
}

// Lowering memory.max below what is in use kills at once; docker/README.md says what does not.
TEST_F(pressure_v2, survives_a_lower_limit_where_memory_high_goes_first) {
  constexpr std::uint64_t lower = 64 * mib;
  if (!make_group(128 * mib)) return;
  start(group());
  put(120 * mib);
  ASSERT_GT(group().usage_bytes(), lower);
  group().set_high_bytes(lower);
  server().look_until([&](const auto&) { return percent_of(lower, group()) < settled.high; });
  group().set_limit_bytes(lower);
  const auto after = server().look_until([&](const auto& at) {
    return at.stats["memory"]["limit_bytes"] == lower && settled.has(at.use_percent);
  });
  EXPECT_TRUE(settled.has(after.use_percent)) << after.use_percent;
}

TEST_F(pressure_v2, follows_an_outer_group_that_others_fill) {
  constexpr std::uint64_t outer_limit = 96 * mib;
  if (!make_group(outer_limit) || !make_group(512 * mib, &group(0)) ||
      !make_group(512 * mib, &group(0)))
    return;
  start(group(1));
  EXPECT_EQ(reported_source(), "cgroup v2 " + group(0).path());
  const ballast other(group(2), 24 * mib);
  put(outer_limit);
  const auto is_settled = [&](const auto&) {
    return settled.has(percent_of(outer_limit, group(0)));
  };
  EXPECT_TRUE(is_settled(server().look_until(is_settled))) << percent_of(outer_limit, group(0));
  EXPECT_GT(server().look().entries(), 20 * mib / entry_bytes);
}

TEST_F(pressure_v2, reads_its_limit_in_a_private_cgroup_namespace) {
  constexpr std::uint64_t limit = 64 * mib;
  if (!make_group(limit)) return;
  std::vector<std::string> launcher = group().launcher();
  launcher[2] = "echo $$ > \"$0\" && exec /usr/bin/unshare --cgroup --mount -- /bin/sh -c 'umount "
                "-l /sys/fs/cgroup && mount -t cgroup2 "
                "none /sys/fs/cgroup && exec \"$@\"' sh \"$@\"";
  start(group(), launcher);
  EXPECT_EQ(reported_source(), "cgroup v2 /sys/fs/cgroup");
  put(limit);
  const auto after =
      server().look_until([](const auto& at) { return settled.has(at.use_percent); });
  EXPECT_TRUE(settled.has(after.use_percent)) << after.use_percent;
  EXPECT_EQ(after.stats["memory"]["limit_bytes"], limit);
}

// ---- swap, compressed or not --------------------------------------------------------------------

TEST_F(pressure_v2, a_neighbours_swap_evicts_nothing) {
  constexpr std::uint64_t limit = 96 * mib;
  if (machine_swap_bytes() < limit) return skip("the machine has no swap of 96 MiB");
  if (!make_group(limit) || !make_group(limit, &group(0)) || !make_group(limit, &group(0))) return;
  for (std::size_t number = 0; number < 3; ++number) group(number).allow_swap();
  start(group(1));
  const ballast other(group(2), 48 * mib);
  if (!group(2).reclaim(40 * mib) || group(2).swapped_bytes() < 32 * mib)
    return skip("the neighbour cannot be swapped out (memory.reclaim)");
  const std::uint64_t count = put(36 * mib);
  await_readings();
  expect_all_there(count);
  std::printf(
      "neighbour: %.1f MiB swapped out, %.1f MiB of them compressed to %.1f; reported %.1f %%\n",
      static_cast<double>(group(2).swapped_bytes()) / mib,
      static_cast<double>(group(2).stat("zswapped")) / mib,
      static_cast<double>(group(2).stat("zswap")) / mib, reported_percent());
  EXPECT_LT(reported_percent(), 70);
}

TEST_F(pressure_v2, what_is_swapped_out_of_the_cache_is_use_and_counts_once) {
  constexpr std::uint64_t limit = 96 * mib;
  if (machine_swap_bytes() < limit) return skip("the machine has no swap of 96 MiB");
  if (!make_group(limit)) return;
  group().allow_swap();
  start(group());
  put(40 * mib);
  const double before = reported_percent();
  if (!group().reclaim(24 * mib) || group().swapped_bytes() < 16 * mib)
    return skip("the server cannot be swapped out (memory.reclaim)");
  await_readings();
  const double after = reported_percent();
  std::printf(
      "swapped out %.1f MiB, %.1f MiB of them compressed to %.1f; reported %.1f, then %.1f %%\n",
      static_cast<double>(group().swapped_bytes()) / mib,
      static_cast<double>(group().stat("zswapped")) / mib,
      static_cast<double>(group().stat("zswap")) / mib, before, after);
  EXPECT_NEAR(after, before, 4);
  EXPECT_EQ(server().look().evictions(), 0U);
}

// ---- page cache ---------------------------------------------------------------------------------

// A file on disk of which nothing is in the page cache.
class cold_file {
public:
  explicit cold_file(std::uint64_t bytes)
      : path_(std::filesystem::temp_directory_path() /
              ("kvcache-cold-" + std::to_string(::getpid()))) {
    const int fd = ::open(path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    const std::string block(mib, 'x');
    for (std::uint64_t at = 0; at < bytes; at += block.size())
      written_ = ::write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size());
    written_ = written_ && ::fsync(fd) == 0 && ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    ::close(fd);
  }
  ~cold_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  cold_file(const cold_file&) = delete;
  cold_file& operator=(const cold_file&) = delete;

  bool written() const { return written_; }
  void read_by(const std::vector<std::string>& launcher) const {
    const program_end ended = run_program("/bin/cat", {path_.string()}, launcher);
    EXPECT_EQ(ended.exit_code, 0);
  }

private:
  std::filesystem::path path_;
  bool written_ = false;
};

TEST_F(pressure_v2, page_cache_in_active_use_evicts_nothing) {
  constexpr std::uint64_t limit = 96 * mib;
  constexpr std::uint64_t file_bytes = 24 * mib;
  if (!make_group(limit)) return;
  const cold_file file(file_bytes);
  for (int twice = 0; twice < 2; ++twice) file.read_by(group().launcher()); // active from then on
  if (!file.written() || group().stat("active_file") < file_bytes * 3 / 4)
    return skip("no file system with page cache in " +
                std::filesystem::temp_directory_path().string());
  start(group());
  const std::uint64_t count = put(48 * mib); // with the page cache it would be over 80 %
  await_readings();
  expect_all_there(count);
  std::printf("%.1f MiB of page cache active; reported %.1f %%\n",
              static_cast<double>(group().stat("active_file")) / mib, reported_percent());
  EXPECT_LT(reported_percent(), 70);

  put(limit, count); // and it gives way to entries, without a kill
  const auto after =
      server().look_until([](const auto& at) { return settled.has(at.use_percent); });
  EXPECT_TRUE(settled.has(after.use_percent)) << after.use_percent;
}

} // namespace
} // namespace kvcache::test
