#include "daemon/process_watch.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

namespace kvcache::daemon {
namespace {

// Descriptors of our own, closed at the end.
class opened_files {
public:
  // Opens up to `most`; fewer where the process may have no more.
  explicit opened_files(std::size_t most) {
    for (std::size_t i = 0; i < most; ++i) {
      const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (fd < 0) break;
      fds_.push_back(fd);
    }
  }
  ~opened_files() {
    for (const int fd : fds_) close(fd);
  }
  opened_files(const opened_files&) = delete;
  opened_files& operator=(const opened_files&) = delete;

  std::size_t count() const { return fds_.size(); }

private:
  std::vector<int> fds_;
};

TEST(process_watch, tells_the_wall_clock_of_the_start_and_always_the_same) {
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const process_watch process;
  const auto after = std::chrono::system_clock::now().time_since_epoch();
  const auto told = process.look().started_at;
  EXPECT_GE(told, before);
  EXPECT_LE(told, after);
  EXPECT_EQ(process.look().started_at, told);
}

TEST(process_watch, tells_processor_time_that_rises_with_work) {
  const process_watch process;
  const auto before = process.look().processor_time;
  EXPECT_GT(before.count(), 0);
  const process_watch other;
  while (other.look().processor_time == before) {
  }
  EXPECT_GT(process.look().processor_time, before);
}

TEST(process_watch, tells_resident_memory_that_rises_with_pages_written) {
  constexpr std::size_t bytes = std::size_t{64} << 20;
  const process_watch process;
  const std::uint64_t before = process.look().resident_bytes;
  EXPECT_GT(before, std::uint64_t{1} << 20);
  const std::vector<char> written(bytes, 'x');
  EXPECT_GT(process.look().resident_bytes, before + bytes / 2);
}

TEST(process_watch, counts_open_files) {
  const process_watch process;
  const std::uint64_t before = process.look().open_files;
  const opened_files more{25};
  EXPECT_EQ(process.look().open_files, before + 25);
  EXPECT_LE(process.look().open_files, process.look().files_most);
}

TEST(process_watch, counts_files_one_by_one_where_the_kernel_does_not_tell_their_number) {
  const std::uint64_t before = count_names("/proc/self/fd");
  EXPECT_GE(before, 4U); // the standard three, and the one that counts
  const opened_files more{25};
  EXPECT_EQ(count_names("/proc/self/fd"), before + 25);
  EXPECT_EQ(count_names("/proc/self/no such directory"), 0U);
}

TEST(process_watch, sees_memory_when_no_descriptor_is_left) {
  const process_watch process;
  rlimit usual{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  rlimit low = usual;
  low.rlim_cur = process.look().open_files + 8;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const opened_files all{1000};
  const observe::process_facts told = process.look();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_LT(all.count(), 1000U);
  EXPECT_GT(told.resident_bytes, 0U);
  EXPECT_EQ(told.files_most, low.rlim_cur);
}

} // namespace
} // namespace kvcache::daemon
