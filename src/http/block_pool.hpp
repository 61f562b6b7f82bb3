// Blocks of one size, cut from slabs that go back to the kernel as soon as they are empty.
//
// Connections come from here and not from the heap: Asio keeps a small object of its own for each
// connection there ever was, and on the heap these would lie among the connections and hold every
// page of them, long after a flood has gone.
//
//   slab (64 KiB, aligned to its size): | header | block | block | … |
//
// Thread-safety: none; each worker has its own.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstddef>

namespace kvcache::http {

class block_pool {
public:
  // REQUIRES: 0 < block_bytes <= 8 KiB.
  explicit block_pool(std::size_t block_bytes) noexcept;
  ~block_pool(); // REQUIRES: all blocks have come back
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;

  void* allocate(); // aligned as by malloc; throws std::bad_alloc
  void deallocate(void* block) noexcept;

private:
  struct free_block {
    free_block* next;
  };
  struct slab : boost::intrusive::list_base_hook<> {
    free_block* free = nullptr; // blocks that have come back
    std::size_t untouched =
        0; // blocks at the end that were never used: their pages do not exist yet
    std::size_t used = 0;
  };
  using slab_list = boost::intrusive::list<slab>;

  static slab* map_slab();
  void* take_from(slab& from) noexcept;
  bool is_full(const slab& s) const noexcept { return s.free == nullptr && s.untouched == 0; }

  const std::size_t block_bytes_;
  const std::size_t blocks_per_slab_;
  slab_list with_room_; // full slabs are in no list
};

} // namespace kvcache::http
