#include "http/block_pool.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

namespace kvcache::http {
namespace {

std::size_t mapped_pages() {
  std::ifstream statm{"/proc/self/statm"};
  std::size_t pages = 0;
  statm >> pages;
  return pages;
}

TEST(block_pool, gives_distinct_aligned_blocks) {
  block_pool pool{100};
  std::set<char*> blocks;
  for (int i = 0; i < 2000; ++i) {
    char* block = static_cast<char*>(pool.allocate());
    std::memset(block, i, 100);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0U);
    EXPECT_TRUE(blocks.insert(block).second);
  }
  for (auto next = blocks.begin(); std::next(next) != blocks.end(); ++next)
    EXPECT_GE(*std::next(next) - *next, 100);
  for (char* block : blocks) pool.deallocate(block);
}

TEST(block_pool, uses_again_what_came_back) {
  block_pool pool{100};
  void* keeps_the_slab = pool.allocate();
  void* first = pool.allocate();
  pool.deallocate(first);
  EXPECT_EQ(pool.allocate(), first);
  pool.deallocate(first);
  pool.deallocate(keeps_the_slab);
}

TEST(block_pool, finds_room_in_a_slab_that_was_full) {
  block_pool pool{8192};
  std::vector<void*> blocks;
  for (int i = 0; i < 7; ++i) blocks.push_back(pool.allocate()); // one whole slab
  pool.deallocate(blocks[3]);
  EXPECT_EQ(pool.allocate(), blocks[3]);
  for (void* block : blocks) pool.deallocate(block);
}

TEST(block_pool, gives_empty_slabs_back_to_the_kernel) {
  block_pool pool{2000};
  const std::size_t before = mapped_pages();
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(pool.allocate()); // 10 MB
  EXPECT_GT(mapped_pages(), before + 2000);
  for (void* block : blocks) pool.deallocate(block);
  EXPECT_LT(mapped_pages(), before + 500);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(block_pool, shows_the_address_sanitizer_who_touches_what_was_given_back) {
  block_pool pool{100};
  void* keeps_the_slab = pool.allocate();
  auto* block = static_cast<volatile char*>(pool.allocate());
  block[99] = 1;
  pool.deallocate(const_cast<char*>(block));
  EXPECT_DEATH(block[99] = 2, "use-after-poison");
  pool.deallocate(keeps_the_slab);
}
#endif

} // namespace
} // namespace kvcache::http
