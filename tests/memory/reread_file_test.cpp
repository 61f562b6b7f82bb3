#include "memory/reread_file.hpp"

#include <sys/resource.h>

#include <gtest/gtest.h>

#include "memory/fake_root.hpp"

namespace kvcache {
namespace {

TEST(reread_file, sees_content_that_changed_in_place) {
  const test::fake_root root{{"/value", "100\n"}};
  reread_file file(root.path() + "/value");
  std::string text;
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, "100\n");
  root.write("/value", "7\n");
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, "7\n");
}

TEST(reread_file, reads_content_longer_than_its_first_buffer) {
  const test::fake_root root;
  const std::string content(100'000, 'x');
  root.write("/long", content);
  reread_file file(root.path() + "/long");
  std::string text;
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, content);
}

TEST(reread_file, stops_reading_a_file_without_end) {
  reread_file file("/dev/zero");
  std::string text;
  ASSERT_TRUE(file.read(text));
  EXPECT_LE(text.size(), std::size_t{8} << 20);
}

TEST(reread_file, finds_a_file_that_appears_later) {
  const test::fake_root root;
  reread_file file(root.path() + "/late");
  std::string text = "old";
  EXPECT_FALSE(file.read(text));
  EXPECT_EQ(text, "");
  root.write("/late", "here");
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, "here");
}

TEST(reread_file, says_so_where_the_path_is_a_directory) {
  const test::fake_root root;
  root.make_directory("/dir");
  reread_file file(root.path() + "/dir");
  std::string text;
  EXPECT_FALSE(file.read(text));
}

TEST(reread_file, goes_on_reading_when_no_descriptor_is_left) {
  const test::fake_root root{{"/value", "1\n"}};
  reread_file file(root.path() + "/value");
  std::string text;
  ASSERT_TRUE(file.read(text));

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool reads_on = file.read(text);
  reread_file other(root.path() + "/value");
  const bool opens_anew = other.read(text);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  EXPECT_TRUE(reads_on);
  EXPECT_FALSE(opens_anew);
}

} // namespace
} // namespace kvcache
