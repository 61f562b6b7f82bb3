#include "daemon/process_monitor.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

namespace kvcache::daemon {
namespace {

// Descriptors of the test, closed by the destructor.
class opened_files {
public:
  // Opens up to `most`; fewer at the limit of the process.
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

TEST(process_monitor, reports_a_constant_start_time_of_the_wall_clock) {
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const process_monitor process;
  const auto after = std::chrono::system_clock::now().time_since_epoch();
  const auto told = process.read().started_at;
  EXPECT_GE(told, before);
  EXPECT_LE(told, after);
  EXPECT_EQ(process.read().started_at, told);
}

TEST(process_monitor, reports_processor_time_that_rises_with_work) {
  const process_monitor process;
  const auto before = process.read().processor_time;
  EXPECT_GT(before.count(), 0);
  const process_monitor other;
  while (other.read().processor_time == before) {
  }
  EXPECT_GT(process.read().processor_time, before);
}

TEST(process_monitor, reports_resident_memory_that_rises_with_pages_written) {
  constexpr std::size_t bytes = std::size_t{64} << 20;
  const process_monitor process;
  const std::uint64_t before = process.read().resident_bytes;
  EXPECT_GT(before, std::uint64_t{1} << 20);
  const std::vector<char> written(bytes, 'x');
  EXPECT_GT(process.read().resident_bytes, before + bytes / 2);
}

TEST(process_monitor, counts_open_files) {
  const process_monitor process;
  const std::uint64_t before = process.read().open_files;
  const opened_files more{25};
  EXPECT_EQ(process.read().open_files, before + 25);
  EXPECT_LE(process.read().open_files, process.read().files_most);
}

TEST(process_monitor, counts_files_one_by_one_if_the_kernel_does_not_report_their_number) {
  const std::uint64_t before = count_names("/proc/self/fd");
  EXPECT_GE(before, 4U); // the standard three, and the one used for counting
  const opened_files more{25};
  EXPECT_EQ(count_names("/proc/self/fd"), before + 25);
  EXPECT_EQ(count_names("/proc/self/no such directory"), 0U);
}

TEST(process_monitor, reports_memory_without_a_free_descriptor) {
  const process_monitor process;
  rlimit usual{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  rlimit low = usual;
  low.rlim_cur = process.read().open_files + 8;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const opened_files all{1000};
  const observe::process_facts told = process.read();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_LT(all.count(), 1000U);
  EXPECT_GT(told.resident_bytes, 0U);
  EXPECT_EQ(told.files_most, low.rlim_cur);
}

} // namespace
} // namespace kvcache::daemon
