#include "cache/size_classes.hpp"

#include <gtest/gtest.h>

namespace kvcache {
namespace {

TEST(size_classes, every_size_gets_the_smallest_block_that_holds_it) {
  for (std::size_t bytes = 1; bytes <= max_small_block_bytes; ++bytes) {
    const size_class c = size_class_of(bytes);
    ASSERT_LT(c, size_class_count);
    ASSERT_GE(block_bytes_of(c), bytes);
    if (c > 0) {
      ASSERT_LT(block_bytes_of(c - 1), bytes);
    }
  }
  EXPECT_EQ(block_bytes_of(size_class_count - 1), max_small_block_bytes);
}

TEST(size_classes, waste_at_most_a_sixteenth_and_keep_blocks_aligned) {
  for (size_class c = 0; c < size_class_count; ++c) {
    EXPECT_EQ(block_bytes_of(c) % (block_bytes_of(c) <= max_fine_block_bytes ? 8 : 32), 0U);
    if (c > 0 && block_bytes_of(c) > max_fine_block_bytes) {
      EXPECT_LE((block_bytes_of(c) - block_bytes_of(c - 1)) * 16, block_bytes_of(c));
    }
  }
}

} // namespace
} // namespace kvcache
