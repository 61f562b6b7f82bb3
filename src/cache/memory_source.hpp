// Where the store's memory comes from: every byte the store holds, besides a few fixed objects,
// passes through here. A class of its own so that tests can refuse the n-th request and count what
// is out.
//
// Thread-safety: every member may be called by any thread at any time.
#pragma once

#include <cstddef>

namespace kvcache {

class memory_source {
public:
  virtual ~memory_source() = default;

  // Address space without memory behind it, or nullptr. Page-aligned; unreserve() gives it back
  // whole.
  virtual void* reserve(std::size_t bytes) noexcept = 0;
  virtual void unreserve(void* start, std::size_t bytes) noexcept = 0;

  // Makes part of a reservation usable; its pages appear, zeroed, as they are touched.
  virtual bool commit(void* start, std::size_t bytes) noexcept = 0;

  // Hands the pages back to the kernel; the range stays usable and reads as zeros.
  virtual void give_back(void* start, std::size_t bytes) noexcept = 0;

  // Whole pages, zeroed, or nullptr.
  virtual void* map(std::size_t bytes) noexcept = 0;
  virtual void unmap(void* start, std::size_t bytes) noexcept = 0;

  // Pieces too small for a page of their own, or nullptr. Each starts a line of the processor's
  // cache.
  static constexpr std::size_t piece_alignment = 64;
  virtual void* allocate(std::size_t bytes) noexcept = 0;
  virtual void deallocate(void* start, std::size_t bytes) noexcept = 0;
};

// The kernel and the C++ heap. Transparent huge pages are declined for all of it: a cache fills and
// empties in pieces far smaller than 2 MiB, and the kernel would hold the difference.
memory_source& system_memory_source() noexcept;

std::size_t page_bytes() noexcept;

// How much is taken from the kernel for a request of `bytes` through map().
std::size_t round_up_to_pages(std::size_t bytes) noexcept;

} // namespace kvcache
