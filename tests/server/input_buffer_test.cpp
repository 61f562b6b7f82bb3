#include "server/input_buffer.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace kvcache::http {
namespace {

void receive(input_buffer& buffer, std::string_view text) {
  ASSERT_GE(buffer.free_bytes(), text.size());
  std::memcpy(buffer.free_space().data(), text.data(), text.size());
  buffer.commit(text.size());
}

TEST(input_buffer, holds_nothing_on_the_heap_at_first) {
  const input_buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), input_buffer::idle_bytes);
  EXPECT_EQ(buffer.heap_bytes(), 0U);
}

TEST(input_buffer, returns_the_input_that_is_not_consumed) {
  input_buffer buffer;
  receive(buffer, "abc");
  receive(buffer, "def");
  EXPECT_EQ(buffer.unused(), "abcdef");
  buffer.consume(2);
  EXPECT_EQ(buffer.unused(), "cdef");
}

TEST(input_buffer, has_all_its_space_free_when_all_is_consumed) {
  input_buffer buffer;
  receive(buffer, "abc");
  buffer.consume(3);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.free_bytes(), input_buffer::idle_bytes);
}

TEST(input_buffer, frees_space_by_moving_input_to_the_front) {
  input_buffer buffer;
  receive(buffer, std::string(input_buffer::idle_bytes, 'x'));
  buffer.consume(input_buffer::idle_bytes - 3);
  EXPECT_EQ(buffer.free_bytes(), 0U);
  buffer.compact();
  EXPECT_EQ(buffer.unused(), "xxx");
  EXPECT_EQ(buffer.free_bytes(), input_buffer::idle_bytes - 3);
}

TEST(input_buffer, keeps_unused_input_when_it_grows) {
  input_buffer buffer;
  receive(buffer, "abcdef");
  buffer.consume(2);
  ASSERT_TRUE(buffer.grow(4096));
  EXPECT_EQ(buffer.unused(), "cdef");
  EXPECT_EQ(buffer.heap_bytes(), 4096U);
  EXPECT_EQ(buffer.free_bytes(), 4092U);
}

TEST(input_buffer, frees_its_heap_block_when_it_shrinks) {
  input_buffer buffer;
  ASSERT_TRUE(buffer.grow(4096));
  buffer.shrink();
  EXPECT_EQ(buffer.heap_bytes(), 0U);
  EXPECT_EQ(buffer.capacity(), input_buffer::idle_bytes);
}

} // namespace
} // namespace kvcache::http
