#include "process/process_setup.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace kvcache::config {
namespace {

TEST(process_setup, raises_the_limit_of_open_files_to_the_hard_limit) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);

  const open_file_limit raised = raise_open_file_limit();
  EXPECT_EQ(raised.soft, before.rlim_max);
  EXPECT_EQ(raised.fault, "");
  rlimit now{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(process_setup, warns_if_there_are_too_few_descriptors_for_all_connections) {
  EXPECT_EQ(find_too_few_files({.soft = 20'000, .fault = {}}, 10'000, 10'000), std::nullopt);
  EXPECT_EQ(find_too_few_files({.soft = 1024, .fault = {}}, 10'000, 800),
            "the limit of open files (ulimit -n) is 1024, too low for 10000 connections; serving "
            "at most 800");
  EXPECT_EQ(find_too_few_files({.soft = 1024, .fault = "why"}, 10'000, 800),
            "the limit of open files (ulimit -n) is 1024, too low for 10000 connections; serving "
            "at most 800; "
            "raising the limit failed: why");
}

TEST(process_setup, allocates_the_stack_of_the_first_thread_in_advance) {
  preallocate_stack();
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  std::uintptr_t lowest = 0; // address of the mapping that it is in
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields{line};
    std::uintptr_t first = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    fields >> std::hex >> first >> dash >> end;
    if (first <= here && here < end) lowest = first;
  }
  ASSERT_NE(lowest, 0U);
  EXPECT_GE(here - lowest, preallocated_stack_bytes * 9 / 10);
}

// Runs `check` in a child process, which it may modify. Returns its result.
template <class Check>
bool holds_in_child(Check check) {
  const pid_t child = fork();
  if (child == 0) _exit(check() ? 0 : 1);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_null_device(int descriptor) {
  struct stat facts {};
  struct stat null {};
  return fstat(descriptor, &facts) == 0 && stat("/dev/null", &null) == 0 &&
         facts.st_rdev == null.st_rdev;
}

TEST(process_setup, opens_closed_standard_descriptors_so_that_no_file_gets_their_numbers) {
  EXPECT_TRUE(holds_in_child([] {
    for (const int descriptor : {0, 1, 2}) close(descriptor);
    fill_standard_descriptors();
    return is_null_device(0) && is_null_device(1) && is_null_device(2) && write(1, "x", 1) < 0 &&
           write(2, "x", 1) == 1 && open("/", O_RDONLY | O_CLOEXEC) > 2;
  }));
}

TEST(process_setup, leaves_open_standard_descriptors_unchanged) {
  EXPECT_TRUE(holds_in_child([] {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return false;
    dup2(ends[1], 2);
    close(0);
    fill_standard_descriptors();
    return is_null_device(0) && !is_null_device(2);
  }));
}

TEST(process_setup, returns_an_error_at_the_file_size_limit) {
  EXPECT_TRUE(holds_in_child([] {
    ignore_write_signals();
    const rlimit one_byte{1, 1};
    const int file = open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return file >= 0 && setrlimit(RLIMIT_FSIZE, &one_byte) == 0 && write(file, "xx", 2) == 1 &&
           write(file, "x", 1) == -1 && errno == EFBIG;
  }));
}

TEST(process_setup, reaps_children_that_ended_before_and_after_the_call) {
  EXPECT_TRUE(holds_in_child([] {
    const pid_t ended = fork();
    if (ended == 0) _exit(0);
    siginfo_t end{};
    waitid(P_PID, static_cast<id_t>(ended), &end, WEXITED | WNOWAIT); // a zombie from here on
    reap_children();
    if (kill(ended, 0) == 0) return false;
    const pid_t later = fork();
    if (later == 0) _exit(0);
    // Waits for its end; then there is nothing to reap.
    return waitpid(later, nullptr, 0) == -1 && errno == ECHILD;
  }));
}

TEST(process_setup, returns_an_error_on_a_broken_pipe) {
  ignore_write_signals();
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

TEST(process_setup, disables_huge_pages_for_the_whole_process) {
  EXPECT_TRUE(disable_huge_pages());
  EXPECT_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
}

} // namespace
} // namespace kvcache::config
