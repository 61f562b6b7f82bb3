#include "server/block_pool.hpp"

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

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) noexcept {
  return (bytes + to - 1) / to * to;
}

} // namespace

block_pool::block_pool(std::size_t block_bytes)
    : block_bytes_(round_up(block_bytes, alignof(std::max_align_t))),
      blocks_per_slab_((slab_bytes - header_bytes) / block_bytes_),
      by_use_(blocks_per_slab_ + 1) {
  static_assert(sizeof(slab) <= header_bytes);
  static_assert(header_bytes <= page_bytes);
  assert(block_bytes >= block_bytes_least);
}

block_pool::~block_pool() { assert(resident_pages_ == 0); }

// A slab is aligned to its size, so that a block's address yields its slab.
block_pool::slab* block_pool::map_slab() {
  void* mapped =
      ::mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc{};
  char* const start = static_cast<char*>(mapped);
  const std::size_t before = round_up(reinterpret_cast<std::uintptr_t>(start), slab_bytes) -
                             reinterpret_cast<std::uintptr_t>(start);
  if (before != 0) ::munmap(start, before);
  ::munmap(start + before + slab_bytes, slab_bytes - before);
  // Free blocks are poisoned: AddressSanitizer by itself covers only the heap.
  ASAN_POISON_MEMORY_REGION(start + before + header_bytes, slab_bytes - header_bytes);
  return new (start + before) slab;
}

void block_pool::unmap(slab& s) noexcept {
  resident_pages_ -= s.resident.count();
  s.~slab();
  ASAN_UNPOISON_MEMORY_REGION(&s, slab_bytes); // others may get these addresses
  ::munmap(&s, slab_bytes);
}

block_pool::slab& block_pool::fullest_with_room() {
  for (std::size_t used = blocks_per_slab_; used-- > 0;)
    if (!by_use_[used].empty()) return by_use_[used].front();
  slab& fresh = *map_slab();
  fresh.resident.set(0); // of the header
  ++resident_pages_;
  by_use_[0].push_front(fresh);
  return fresh;
}

block_pool::page_range block_pool::pages_of(std::size_t index) const noexcept {
  const std::size_t start = header_bytes + index * block_bytes_;
  return {start / page_bytes, (start + block_bytes_ - 1) / page_bytes};
}

void* block_pool::allocate() {
  slab& from = fullest_with_room();
  std::size_t index = 0;
  while (from.used.test(index)) ++index;
  by_use_[from.used_count].erase(slab_list::s_iterator_to(from));
  by_use_[++from.used_count].push_front(from);
  from.used.set(index);
  const page_range pages = pages_of(index);
  for (std::size_t page = pages.first; page <= pages.last; ++page) {
    ++from.blocks_on_page[page];
    if (from.resident.test(page)) continue;
    from.resident.set(page);
    ++resident_pages_;
  }
  char* const block = reinterpret_cast<char*>(&from) + header_bytes + index * block_bytes_;
  ASAN_UNPOISON_MEMORY_REGION(block, block_bytes_);
  return block;
}

void block_pool::deallocate(void* block) noexcept {
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(block) % slab_bytes;
  slab& of = *reinterpret_cast<slab*>(static_cast<char*>(block) - offset);
  const std::size_t index = (offset - header_bytes) / block_bytes_;
  ASAN_POISON_MEMORY_REGION(block, block_bytes_);
  of.used.reset(index);
  const page_range pages = pages_of(index);
  for (std::size_t page = pages.first; page <= pages.last; ++page) --of.blocks_on_page[page];
  by_use_[of.used_count].erase(slab_list::s_iterator_to(of));
  if (--of.used_count == 0) {
    unmap(of);
    return;
  }
  by_use_[of.used_count].push_front(of);
  may_trim_ = true;
}

void block_pool::trim() noexcept {
  if (!may_trim_) return;
  may_trim_ = false;
  for (slab_list& some : by_use_)
    for (slab& each : some) trim(each);
}

void block_pool::trim(slab& s) noexcept {
  for (std::size_t page = 1; page < pages_per_slab; ++page) { // the header is on the first
    if (!s.resident.test(page) || s.blocks_on_page[page] != 0) continue;
    char* const start = reinterpret_cast<char*>(&s) + page * page_bytes;
    if (::madvise(start, page_bytes, MADV_DONTNEED) != 0) continue; // the kernel's are larger
    s.resident.reset(page);
    --resident_pages_;
  }
}

} // namespace kvcache::http
