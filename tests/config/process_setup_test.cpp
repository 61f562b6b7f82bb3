#include "config/process_setup.hpp"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace kvcache::config {
namespace {

TEST(process_setup, raises_the_open_files_to_the_hard_limit) {
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

TEST(process_setup, warns_where_connections_may_outnumber_the_files) {
  EXPECT_EQ(find_too_few_files({.soft = 20'000, .fault = {}}, 10'000, 10'000), std::nullopt);
  EXPECT_EQ(find_too_few_files({.soft = 1024, .fault = {}}, 10'000, 800),
            "only 1024 files may be open, too few for 10000 connections: 800 are served at a time");
  EXPECT_EQ(find_too_few_files({.soft = 1024, .fault = "why"}, 10'000, 800),
            "only 1024 files may be open, too few for 10000 connections: 800 are served at a time; "
            "raising that failed: why");
}

TEST(process_setup, takes_the_first_threads_stack_before_it_is_needed) {
  grow_stack_ahead();
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
  EXPECT_GE(here - lowest, stack_ahead_bytes * 9 / 10);
}

TEST(process_setup, turns_a_broken_pipe_into_an_error) {
  ignore_broken_pipes();
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

TEST(process_setup, refuses_huge_pages_for_the_whole_process) {
  EXPECT_TRUE(refuse_huge_pages());
  EXPECT_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
}

} // namespace
} // namespace kvcache::config
