#include "http/block_pool.hpp"

#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <new>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h> // its macros do nothing in a build without AddressSanitizer
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) static_cast<void>(start)
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) static_cast<void>(start)
#endif

namespace kvcache::http {

namespace {

constexpr std::size_t slab_bytes = std::size_t{64} << 10;
constexpr std::size_t header_bytes = 64;

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) noexcept {
  return (bytes + to - 1) / to * to;
}

} // namespace

block_pool::block_pool(std::size_t block_bytes) noexcept
    : block_bytes_(round_up(block_bytes, alignof(std::max_align_t))),
      blocks_per_slab_((slab_bytes - header_bytes) / block_bytes_) {
  static_assert(sizeof(slab) <= header_bytes);
}

block_pool::~block_pool() { assert(with_room_.empty()); }

// A slab is aligned to its size, so that a block's address tells its slab.
block_pool::slab* block_pool::map_slab() {
  void* mapped =
      ::mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc{};
  char* const start = static_cast<char*>(mapped);
  const std::size_t before = round_up(reinterpret_cast<std::uintptr_t>(start), slab_bytes) -
                             reinterpret_cast<std::uintptr_t>(start);
  if (before != 0) ::munmap(start, before);
  ::munmap(start + before + slab_bytes, slab_bytes - before);
  // Blocks are poisoned but while they are out: AddressSanitizer knows only the heap by itself.
  ASAN_POISON_MEMORY_REGION(start + before + header_bytes, slab_bytes - header_bytes);
  return new (start + before) slab;
}

void* block_pool::allocate() {
  if (with_room_.empty()) {
    slab* fresh = map_slab();
    fresh->untouched = blocks_per_slab_;
    with_room_.push_front(*fresh);
  }
  slab& from = with_room_.front();
  void* block = take_from(from);
  if (is_full(from)) with_room_.pop_front();
  return block;
}

void* block_pool::take_from(slab& from) noexcept {
  ++from.used;
  if (from.free != nullptr) {
    free_block* block = from.free;
    ASAN_UNPOISON_MEMORY_REGION(block, block_bytes_);
    from.free = block->next;
    return block;
  }
  const std::size_t index = blocks_per_slab_ - from.untouched--;
  char* const block = reinterpret_cast<char*>(&from) + header_bytes + index * block_bytes_;
  ASAN_UNPOISON_MEMORY_REGION(block, block_bytes_);
  return block;
}

void block_pool::deallocate(void* block) noexcept {
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(block) % slab_bytes;
  slab& of = *reinterpret_cast<slab*>(static_cast<char*>(block) - offset);
  if (is_full(of)) with_room_.push_back(of);
  of.free = new (block) free_block{of.free};
  ASAN_POISON_MEMORY_REGION(block, block_bytes_);
  if (--of.used != 0) return;
  with_room_.erase(with_room_.iterator_to(of));
  of.~slab();
  ASAN_UNPOISON_MEMORY_REGION(&of, slab_bytes); // others will be given these addresses
  ::munmap(&of, slab_bytes);
}

} // namespace kvcache::http
