// A pool of blocks of one size, cut from slabs. Returns memory to the kernel page by page.
//
// Connections come from here and not from the heap. Otherwise other small allocations lie between
// them and keep their pages resident long after a flood of connections has ended.
//
//   slab (64 KiB, aligned to its size): | header | block | block | … |
//
// allocate() takes from the fullest slab, so that the others become empty. An empty slab is
// unmapped at once; pages without a block in slabs that are still in use are returned by trim().
//
// Thread-safety: none; each worker has its own. Complexity: constant in the number of blocks.
#pragma once

#include <boost/intrusive/list.hpp>

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvcache::http {

class block_pool {
public:
  // REQUIRES: 64 <= block_bytes <= 8 KiB. Throws std::bad_alloc.
  explicit block_pool(std::size_t block_bytes);
  ~block_pool(); // REQUIRES: all blocks have been freed
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;

  void* allocate(); // aligned as by malloc; throws std::bad_alloc
  void deallocate(void* block) noexcept;

  // Returns pages on which there is no block to the kernel.
  void trim() noexcept;

  // Resident pages, with or without blocks on them.
  std::size_t resident_bytes() const noexcept { return resident_pages_ * page_bytes; }

private:
  static constexpr std::size_t slab_bytes = std::size_t{64} << 10;
  static constexpr std::size_t page_bytes = 4096;
  static constexpr std::size_t pages_per_slab = slab_bytes / page_bytes;
  static constexpr std::size_t header_bytes = 256;
  static constexpr std::size_t block_bytes_least = 64;
  static constexpr std::size_t blocks_most = (slab_bytes - header_bytes) / block_bytes_least;

  struct slab : boost::intrusive::list_base_hook<> {
    std::bitset<blocks_most> used;
    std::size_t used_count = 0;
    std::array<std::uint16_t, pages_per_slab> blocks_on_page{};
    std::bitset<pages_per_slab> resident; // pages that exist
  };
  using slab_list = boost::intrusive::list<slab>;
  struct page_range {
    std::size_t first;
    std::size_t last;
  };

  static slab* map_slab();
  slab& fullest_with_room();
  page_range pages_of(std::size_t index) const noexcept;
  void trim(slab& s) noexcept;
  void unmap(slab& s) noexcept;

  const std::size_t block_bytes_;
  const std::size_t blocks_per_slab_;
  std::vector<slab_list> by_use_; // by the number of blocks in use; full ones, too
  std::size_t resident_pages_ = 0;
  bool may_trim_ = false; // a block has been freed since the last trim()
};

} // namespace kvcache::http
