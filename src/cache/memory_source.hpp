// The source of the store's memory: every byte it holds, besides a few fixed objects, is requested
// here. An interface, so that tests can refuse the n-th request and count what is allocated.
//
// Thread-safety: every member may be called by any thread at any time.
#pragma once

#include <cstddef>

namespace kvcache {

class memory_source {
public:
  virtual ~memory_source() = default;

  // Reserves address space without memory, page-aligned; nullptr on failure. unreserve() frees all
  // of it.
  virtual void* reserve(std::size_t bytes) noexcept = 0;
  virtual void unreserve(void* start, std::size_t bytes) noexcept = 0;

  // Makes part of a reservation usable; its pages appear, zeroed, as they are touched.
  virtual bool commit(void* start, std::size_t bytes) noexcept = 0;

  // Has the kernel provide the pages of a range that is written to next, all at once: that takes
  // half the time of a fault for each. A hint.
  virtual void populate(void* start, std::size_t bytes) noexcept = 0;

  // Returns the pages to the kernel; the range stays usable and reads as zeros.
  virtual void give_back(void* start, std::size_t bytes) noexcept = 0;

  // Whole pages, zeroed, or nullptr.
  virtual void* map(std::size_t bytes) noexcept = 0;
  virtual void unmap(void* start, std::size_t bytes) noexcept = 0;

  // Memory too small for a page of its own, or nullptr. Aligned to a cache line.
  static constexpr std::size_t piece_alignment = 64;
  virtual void* allocate(std::size_t bytes) noexcept = 0;
  virtual void deallocate(void* start, std::size_t bytes) noexcept = 0;
};

// The kernel and the C++ heap. Transparent huge pages are disabled for all of it: a cache grows and
// shrinks in steps far smaller than 2 MiB, and the difference would stay charged.
memory_source& system_memory_source() noexcept;

std::size_t page_bytes() noexcept;

// The size of a mapping of `bytes`.
std::size_t round_up_to_pages(std::size_t bytes) noexcept;

} // namespace kvcache
