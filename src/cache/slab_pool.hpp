// Address space for entries, allocated in slabs of 64 KiB or runs of them. One large range is
// reserved at the start (address space, not memory). Slabs are made usable when first needed,
// lowest first, so that the range in use stays short.
//
// Thread-safety: every member may be called by any thread at any time.
// Ownership: owns the range. Charges nothing: the arena accounts for touched pages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cache/memory_source.hpp"
#include "cache/spin_lock.hpp"

namespace kvcache {

inline constexpr std::size_t slab_bytes = std::size_t{64} << 10;

enum class slab_refusal : std::uint8_t {
  none,
  range_full,    // no free run of that length is left
  kernel_refused // out of memory
};

struct slab_run {
  slab_refusal refusal = slab_refusal::none;
  std::uint32_t first = 0; // the first of neighbouring slabs
};

class slab_pool {
public:
  // Reserves `most_bytes`, or if the kernel refuses that, a half, a quarter, and so on. Throws
  // std::bad_alloc if it refuses 64 MiB.
  explicit slab_pool(memory_source& source, std::size_t most_bytes = default_bytes);
  ~slab_pool();
  slab_pool(const slab_pool&) = delete;
  slab_pool& operator=(const slab_pool&) = delete;

  // `count` neighbouring slabs, all zeros.
  slab_run take(std::uint32_t count) noexcept KVCACHE_EXCLUDES(lock_);

  // REQUIRES: the slabs are from take(), and their touched pages have been returned.
  void give(std::uint32_t first, std::uint32_t count) noexcept KVCACHE_EXCLUDES(lock_);

  std::byte* base() const noexcept { return base_; }
  std::uint32_t slab_count() const noexcept { return slab_count_; }
  std::size_t range_bytes() const noexcept { return slab_count_ * slab_bytes; }

  // All slabs ever taken are below this.
  std::uint32_t frontier() const noexcept { return frontier_.load(std::memory_order_acquire); }

private:
  std::optional<std::uint32_t> find_free_run(std::uint32_t count) noexcept KVCACHE_REQUIRES(lock_);
  bool advance_frontier(std::uint32_t to) noexcept KVCACHE_REQUIRES(lock_);
  bool is_free(std::uint32_t slab) const noexcept KVCACHE_REQUIRES(lock_);
  void mark(std::uint32_t first, std::uint32_t count, bool free) noexcept KVCACHE_REQUIRES(lock_);

  memory_source& source_;
  std::byte* base_ = nullptr;
  std::uint32_t slab_count_ = 0;
  std::atomic<std::uint32_t> frontier_{first_slab};
  spin_lock lock_;
  std::uint32_t committed_ KVCACHE_GUARDED_BY(lock_) = first_slab;
  std::uint32_t search_from_ KVCACHE_GUARDED_BY(lock_) = first_slab; // no free slab lies below
  std::uint64_t* free_bits_ KVCACHE_GUARDED_BY(lock_) = nullptr;

  static constexpr std::size_t default_bytes = std::size_t{32} << 30;

  // Slab 0 stays unused, so that no entry has the handle 0.
  static constexpr std::uint32_t first_slab = 1;
};

} // namespace kvcache
