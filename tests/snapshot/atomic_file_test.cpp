#include "snapshot/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "snapshot_support.hpp"

namespace kvcache::snapshot {
namespace {

using test::content_of;
using test::folder;
using test::write_file;

// Fails the n-th call with an error.
class failing_calls final : public file_calls {
public:
  failing_calls(std::size_t fails_at, int error) : left_(fails_at), error_(error) {}
  ssize_t write(int file, const void* bytes, std::size_t count) noexcept override {
    return fails() ? -1 : file_calls::write(file, bytes, count);
  }
  int sync(int file) noexcept override { return fails() ? -1 : file_calls::sync(file); }
  int rename(const char* from, const char* to) noexcept override {
    return fails() ? -1 : file_calls::rename(from, to);
  }
  int sync_range(int file, std::int64_t from, std::int64_t bytes,
                 unsigned flags) noexcept override {
    return fails() ? -1 : file_calls::sync_range(file, from, bytes, flags);
  }

private:
  bool fails() noexcept {
    if (left_-- != 0) return false;
    errno = error_;
    return true;
  }
  std::size_t left_;
  int error_;
};

int write_all(atomic_file& file, std::string_view text, std::size_t times) {
  int error = file.open();
  for (std::size_t i = 0; i < times && error == 0; ++i) error = file.write(text);
  return error == 0 ? file.commit() : error;
}

TEST(atomic_file, replaces_the_earlier_file_once_it_is_committed) {
  const folder in;
  write_file(in.file("s"), "before");
  {
    atomic_file file{in.file("s")};
    ASSERT_EQ(file.open(), 0);
    ASSERT_EQ(file.write("after"), 0);
    EXPECT_EQ(content_of(in.file("s")), "before");
    ASSERT_EQ(file.commit(), 0);
    EXPECT_EQ(file.bytes(), 5U);
  }
  EXPECT_EQ(content_of(in.file("s")), "after");
  EXPECT_EQ(in.files(), 1U);
}

TEST(atomic_file, may_be_read_by_its_owner_alone) {
  const folder in;
  atomic_file file{in.file("s")};
  ASSERT_EQ(write_all(file, "x", 1), 0);
  struct stat found {};
  ASSERT_EQ(::stat(in.file("s").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST(atomic_file, leaves_the_earlier_file_and_no_other_behind_when_any_call_fails) {
  constexpr std::size_t calls = 3 + 3; // writes, fsync, rename, fsync of the folder
  for (const int error : {ENOSPC, EIO}) {
    for (std::size_t at = 0; at < calls; ++at) {
      const folder in;
      write_file(in.file("s"), "before");
      failing_calls failing{at, error};
      {
        atomic_file file{in.file("s"), failing};
        EXPECT_EQ(write_all(file, "after", 3), error) << at;
      }
      const bool renamed = at == calls - 1;
      EXPECT_EQ(content_of(in.file("s")), renamed ? "afterafterafter" : "before") << at;
      EXPECT_EQ(in.files(), 1U) << at;
    }
  }
}

// The kernel reports such an error once.
TEST(atomic_file, fails_if_what_was_written_before_did_not_reach_the_disk) {
  const std::string mib(std::size_t{1} << 20, 'x');
  constexpr std::size_t calls_for_five_mib = 5 + 5 + 3; // writes, begun windows, awaited ones
  for (std::size_t at = 0; at < calls_for_five_mib; ++at) {
    const folder in;
    write_file(in.file("s"), "before");
    failing_calls failing{at, EIO};
    {
      atomic_file file{in.file("s"), failing};
      EXPECT_EQ(write_all(file, mib, 5), EIO) << at;
    }
    EXPECT_EQ(content_of(in.file("s")), "before") << at;
    EXPECT_EQ(in.files(), 1U) << at;
  }
}

TEST(atomic_file, works_on_a_file_system_that_knows_no_ranges) {
  class plain final : public file_calls {
    int sync_range(int, std::int64_t, std::int64_t, unsigned) noexcept override {
      errno = ENOSYS;
      return -1;
    }
  } calls;
  const folder in;
  atomic_file file{in.file("s"), calls};
  EXPECT_EQ(write_all(file, std::string(std::size_t{1} << 20, 'x'), 5), 0);
}

TEST(atomic_file, continues_after_a_write_of_a_part) {
  class partial final : public file_calls {
    ssize_t write(int file, const void* bytes, std::size_t count) noexcept override {
      return file_calls::write(file, bytes, std::min<std::size_t>(count, 3));
    }
  } calls;
  const folder in;
  atomic_file file{in.file("s"), calls};
  ASSERT_EQ(write_all(file, "0123456789", 2), 0);
  EXPECT_EQ(content_of(in.file("s")), "01234567890123456789");
}

TEST(atomic_file, writes_more_than_what_may_wait_in_the_page_cache) {
  const folder in;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i);
  atomic_file file{in.file("s")};
  ASSERT_EQ(write_all(file, text, 12), 0); // 5.8 MB
  std::string expected;
  for (int i = 0; i < 12; ++i) expected += text;
  EXPECT_TRUE(content_of(in.file("s")) == expected);
}

TEST(atomic_file, replaces_what_a_crash_has_left) {
  const folder in;
  write_file(in.file("s.tmp"), "half of a file");
  atomic_file file{in.file("s")};
  ASSERT_EQ(write_all(file, "x", 1), 0);
  EXPECT_EQ(content_of(in.file("s")), "x");
  EXPECT_EQ(in.files(), 1U);
}

TEST(atomic_file, does_not_follow_a_link_in_the_place_of_its_temporary_file) {
  const folder in;
  write_file(in.file("other"), "precious");
  ASSERT_EQ(::symlink(in.file("other").c_str(), in.file("s.tmp").c_str()), 0);
  atomic_file file{in.file("s")};
  ASSERT_EQ(write_all(file, "x", 1), 0);
  EXPECT_EQ(content_of(in.file("other")), "precious");
  EXPECT_EQ(content_of(in.file("s")), "x");
}

TEST(atomic_file, leaves_the_temporary_file_to_another_process_that_writes_it) {
  const folder in;
  atomic_file first{in.file("s")};
  ASSERT_EQ(first.open(), 0);
  {
    atomic_file second{in.file("s")};
    EXPECT_EQ(second.open(), EBUSY);
  }
  ASSERT_EQ(first.write("first"), 0);
  ASSERT_EQ(first.commit(), 0);
  EXPECT_EQ(content_of(in.file("s")), "first");
}

TEST(atomic_file, says_what_is_wrong_with_its_place) {
  const folder in;
  atomic_file nowhere{in.file("none/s")};
  EXPECT_EQ(nowhere.open(), ENOENT);
  ASSERT_EQ(::mkdir(in.file("s.tmp").c_str(), 0700), 0);
  atomic_file blocked{in.file("s")};
  EXPECT_EQ(blocked.open(), EISDIR);
  ASSERT_EQ(::mkdir(in.file("folder").c_str(), 0700), 0);
  atomic_file over_folder{in.file("folder")};
  EXPECT_EQ(write_all(over_folder, "x", 1), EISDIR);
}

} // namespace
} // namespace kvcache::snapshot
