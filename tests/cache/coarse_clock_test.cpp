#include "kvcache/coarse_clock.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <limits>

namespace kvcache {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr tick end_of_time = std::numeric_limits<tick>::max();

struct coarse_clock_test : testing::Test {
  void pass_ms(std::uint64_t time) { now_ns += time * ns_per_ms; }

  std::uint64_t now_ns = 12'345'678'901; // of a machine that runs already
  coarse_clock clock{[this] { return now_ns; }};
};

TEST_F(coarse_clock_test, counts_whole_ticks_since_its_construction) {
  EXPECT_EQ(clock.now(), 0U);
  pass_ms(99);
  EXPECT_EQ(clock.now(), 0U);
  pass_ms(1);
  EXPECT_EQ(clock.now(), 1U);
  pass_ms(3'600'000);
  EXPECT_EQ(clock.now(), 36'001U);
}

TEST_F(coarse_clock_test, names_the_first_tick_that_begins_when_a_time_has_passed) {
  EXPECT_EQ(clock.after(1s), 10U);
  now_ns += 1;
  EXPECT_EQ(clock.after(1s), 11U);
  pass_ms(100);
  EXPECT_EQ(clock.after(1s), 12U);
  EXPECT_EQ(clock.after(60s), 602U);
}

TEST_F(coarse_clock_test, stops_at_its_end_instead_of_wrapping_around) {
  EXPECT_EQ(clock.after(std::chrono::seconds::max()), end_of_time);
  EXPECT_EQ(clock.after(std::chrono::years{13}), 13U * 31'556'952U * ticks_per_second);
  pass_ms(std::uint64_t{400} * 86'400'000);
  EXPECT_EQ(clock.after(std::chrono::years{13}), end_of_time);
  pass_ms(std::uint64_t{5000} * 86'400'000);
  EXPECT_EQ(clock.now(), end_of_time);
}

TEST(coarse_clock, follows_the_clock_of_the_machine_by_default) {
  const coarse_clock clock;
  const tick first = clock.after(10s);
  EXPECT_GE(first, 100U);
  EXPECT_GE(clock.after(10s), first);
}

// For a child process in a time namespace whose machine was booted an hour earlier: there, the one
// clock that is an hour ahead is the one that counts suspended time. Its exit code.
enum outcome : int { ahead = 0, not_ahead = 1, no_namespace = 2 };

outcome compare_in_time_namespace() {
  const std::uint64_t outside = boot_time_now_ns();
  if (unshare(CLONE_NEWTIME) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWTIME) != 0)
    return no_namespace;
  std::ofstream offsets{"/proc/self/timens_offsets"};
  offsets << "boottime 3600 0" << std::endl;
  if (!offsets) return no_namespace;
  const pid_t child = fork(); // only children are in the new namespace
  if (child == 0) {
    constexpr std::uint64_t hour = 3'600'000'000'000;
    _exit(boot_time_now_ns() >= outside + hour && coarse_clock{}.passed_ns() < hour ? ahead
                                                                                    : not_ahead);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return static_cast<outcome>(WEXITSTATUS(status));
}

TEST(coarse_clock, counts_the_time_in_which_the_machine_is_suspended) {
  const pid_t child = fork();
  if (child == 0) _exit(compare_in_time_namespace());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == no_namespace) GTEST_SKIP() << "no time namespace can be made here";
  EXPECT_EQ(WEXITSTATUS(status), ahead);
}

} // namespace
} // namespace kvcache
