#include "memory/reread_file.hpp"

#include <gtest/gtest.h>

#include "memory/descriptor_limit.hpp"
#include "memory/fake_root.hpp"
#include "memory/vanishing_file.hpp"

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

TEST(reread_file, stops_reading_an_endless_file) {
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

TEST(reread_file, reports_a_path_that_is_a_directory) {
  const test::fake_root root;
  root.make_directory("/dir");
  reread_file file(root.path() + "/dir");
  std::string text;
  EXPECT_FALSE(file.read(text));
}

TEST(reread_file, keeps_reading_when_no_descriptor_is_left) {
  const test::fake_root root{{"/value", "1\n"}};
  reread_file file(root.path() + "/value");
  std::string text;
  ASSERT_TRUE(file.read(text));

  reread_file other(root.path() + "/value");
  bool reads_on = false;
  bool opens_anew = true;
  {
    const test::no_descriptors_left none;
    reads_on = file.read(text);
    opens_anew = other.read(text);
  }
  EXPECT_TRUE(reads_on);
  EXPECT_FALSE(opens_anew);
}

TEST(reread_file, opened_ahead_is_read_when_no_descriptor_is_left) {
  const test::fake_root root{{"/value", "1\n"}};
  reread_file file(root.path() + "/value");
  ASSERT_TRUE(file.open());
  std::string text;
  const test::no_descriptors_left none;
  EXPECT_TRUE(file.read(text));
  EXPECT_EQ(text, "1\n");
}

TEST(reread_file, finds_a_file_that_vanished_and_came_back) {
  const test::fake_root root;
  test::vanishing_file first(7);
  root.link("/value", first.path());
  reread_file file(root.path() + "/value");
  std::string text;
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, "7\n");
  first.remove();
  EXPECT_FALSE(file.read(text));
  EXPECT_EQ(text, "");
  const test::vanishing_file second(8);
  root.link("/value", second.path());
  ASSERT_TRUE(file.read(text));
  EXPECT_EQ(text, "8\n");
}

} // namespace
} // namespace kvcache
