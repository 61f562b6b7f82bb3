#include "server/block_pool.hpp"

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

std::size_t resident_pages() {
  std::ifstream statm{"/proc/self/statm"};
  std::size_t pages = 0;
  statm >> pages >> pages;
  return pages;
}

TEST(block_pool, allocates_distinct_aligned_blocks) {
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

TEST(block_pool, reuses_freed_blocks) {
  block_pool pool{100};
  void* keeps_the_slab = pool.allocate();
  void* first = pool.allocate();
  pool.deallocate(first);
  EXPECT_EQ(pool.allocate(), first);
  pool.deallocate(first);
  pool.deallocate(keeps_the_slab);
}

TEST(block_pool, allocates_from_a_slab_that_was_full) {
  block_pool pool{8192};
  std::vector<void*> blocks;
  for (int i = 0; i < 7; ++i) blocks.push_back(pool.allocate()); // one whole slab
  pool.deallocate(blocks[3]);
  EXPECT_EQ(pool.allocate(), blocks[3]);
  for (void* block : blocks) pool.deallocate(block);
}

TEST(block_pool, returns_empty_slabs_to_the_kernel) {
  block_pool pool{2000};
  const std::size_t before = mapped_pages();
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(pool.allocate()); // 10 MB
  EXPECT_GT(mapped_pages(), before + 2000);
  for (void* block : blocks) pool.deallocate(block);
  EXPECT_LT(mapped_pages(), before + 500);
}

// A flood of which one in forty survives: no two of them share a slab.
TEST(block_pool, returns_pages_without_blocks_in_slabs_that_stay_in_use) {
  constexpr std::size_t block_bytes = 2600;
  constexpr int flood = 5000;
  constexpr int stride = 20; // one in a slab
  block_pool pool{block_bytes};
  std::vector<void*> blocks;
  for (int i = 0; i < flood; ++i) {
    blocks.push_back(pool.allocate());
    std::memset(blocks.back(), i, block_bytes);
  }
  const std::size_t at_peak = pool.resident_bytes();
  EXPECT_GE(at_peak, flood * block_bytes);
  std::vector<void*> survivors;
  for (int i = 0; i < flood; ++i) {
    if (i % stride == 0)
      survivors.push_back(blocks[static_cast<std::size_t>(i)]);
    else
      pool.deallocate(blocks[static_cast<std::size_t>(i)]);
  }
  EXPECT_EQ(pool.resident_bytes(), at_peak); // it says what it still holds
  const std::size_t resident_before = resident_pages();
  pool.trim();
  // The page of a slab's header, and at most two for its survivor.
  EXPECT_LE(pool.resident_bytes(), survivors.size() * 3 * 4096);
  EXPECT_LE(resident_pages() + (at_peak - pool.resident_bytes()) / 4096, resident_before + 64);
  for (std::size_t i = 0; i < survivors.size(); ++i) {
    const char first = *static_cast<char*>(survivors[i]);
    EXPECT_EQ(first, static_cast<char>(i * stride)); // they are as they were
    pool.deallocate(survivors[i]);
  }
  EXPECT_EQ(pool.resident_bytes(), 0U);
}

TEST(block_pool, fills_the_fullest_slab_first) {
  block_pool pool{8192};
  std::vector<void*> blocks;
  for (int i = 0; i < 14; ++i) blocks.push_back(pool.allocate()); // two whole slabs
  for (int i : {0, 1, 2, 3, 4, 13}) pool.deallocate(blocks[static_cast<std::size_t>(i)]);
  EXPECT_EQ(pool.allocate(), blocks[13]);
  const std::size_t before = pool.resident_bytes();
  for (int i : {5, 6}) pool.deallocate(blocks[static_cast<std::size_t>(i)]); // the first is empty
  EXPECT_LE(pool.resident_bytes(), before / 2 + 4096);
  for (std::size_t i = 7; i < 14; ++i) pool.deallocate(blocks[i]);
}

TEST(block_pool, reuses_blocks_on_returned_pages) {
  block_pool pool{2600};
  std::vector<void*> blocks;
  for (int i = 0; i < 24; ++i) blocks.push_back(pool.allocate());
  for (std::size_t i = 1; i < blocks.size(); ++i) pool.deallocate(blocks[i]);
  pool.trim();
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    void* const block = pool.allocate();
    EXPECT_EQ(block, blocks[i]);
    std::memset(block, 1, 2600);
  }
  for (void* block : blocks) pool.deallocate(block);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(block_pool, lets_the_address_sanitizer_detect_a_use_of_freed_blocks) {
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
