#include "http/output_buffer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <new>
#include <string>

namespace kvcache::http {
namespace {

TEST(output_buffer, keeps_its_content_when_it_grows) {
  output_buffer out;
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.capacity(), 0U);
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string piece = std::to_string(i) + ';';
    out.append(piece);
    expected += piece;
  }
  EXPECT_EQ(out.view(), expected);
  EXPECT_EQ(out.size(), expected.size());
}

TEST(output_buffer, appends_only_committed_bytes) {
  output_buffer out;
  out.append("ab");
  char* to = out.prepare(100);
  EXPECT_GE(out.room(), 100U);
  to[0] = 'c';
  EXPECT_EQ(out.view(), "ab");
  out.commit(to + 1);
  EXPECT_EQ(out.view(), "abc");
  out.truncate(1);
  EXPECT_EQ(out.view(), "a");
}

TEST(output_buffer, keeps_its_memory_when_cleared_and_frees_it_when_released) {
  output_buffer out;
  out.append(std::string(10'000, 'a'));
  out.clear();
  EXPECT_TRUE(out.empty());
  EXPECT_GE(out.capacity(), 10'000U);
  out.release();
  EXPECT_EQ(out.capacity(), 0U);
  out.append("again");
  EXPECT_EQ(out.view(), "again");
}

TEST(output_buffer, refuses_impossible_sizes_and_stays_unchanged) {
  output_buffer out;
  out.append("ab");
  EXPECT_THROW(out.prepare(std::numeric_limits<std::size_t>::max() - 1), std::bad_alloc);
  EXPECT_EQ(out.view(), "ab");
}

} // namespace
} // namespace kvcache::http
