// Keeps a load of older entries, a snapshot's, from undoing what was written since it began: a key
// that has been written, or erased, is never loaded. One bit for each of many groups of keys; the
// others of a written key's group are not loaded either, which only costs their entries.
//
//   a write     notes its key, then does its work
//   a load      gets a permit for its key, which fails if that was noted, inserts, returns it
//
// Noting waits for the permits of the same group. So an entry is inserted before the write begins,
// which then finds it, or not at all.
//
// Thread-safety: every member may be called by any thread at any time, but for begin().
// Ownership: borrows the memory source.
// Errors: begin() returns false where the kernel refuses memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/memory_source.hpp"
#include "cache/spin_lock.hpp"

namespace kvcache {

class load_filter {
public:
  explicit load_filter(memory_source& source) noexcept : source_(source) {}
  ~load_filter();
  load_filter(const load_filter&) = delete;
  load_filter& operator=(const load_filter&) = delete;

  // About so many entries are to be loaded. Takes one to two bytes for each, 8 MiB at most, of
  // pages that are touched by writes. REQUIRES: called once, before any write.
  bool begin(std::size_t entries) noexcept;
  bool is_loading() const noexcept { return active_.load(std::memory_order_relaxed); }
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }

  // No permit is given from now on. Returns when those that were given have been returned.
  void end() noexcept;

  // REQUIRES of `hash`, here and below: the key's, uniformly distributed in all its bits.
  void note_write(std::uint32_t hash) noexcept {
    if (active_.load(std::memory_order_relaxed)) [[unlikely]]
      note(hash);
  }

  // The right to insert the entry of that key, as long as this exists.
  class permit {
  public:
    permit(load_filter& filter, std::uint32_t hash) noexcept KVCACHE_NO_THREAD_SAFETY_ANALYSIS
        : lock_(filter.lock_of(hash)) {
      lock_.lock();
      granted_ = filter.may_load(hash);
    }
    ~permit() KVCACHE_NO_THREAD_SAFETY_ANALYSIS { lock_.unlock(); }
    permit(const permit&) = delete;
    permit& operator=(const permit&) = delete;
    explicit operator bool() const noexcept { return granted_; }

  private:
    spin_lock& lock_;
    bool granted_;
  };

private:
  using word = std::atomic<std::uint64_t>;
  static constexpr unsigned lock_count = 64;
  struct alignas(64) lock_line {
    spin_lock lock;
  };

  spin_lock& lock_of(std::uint32_t hash) noexcept { return locks_[hash % lock_count].lock; }
  std::uint32_t bit_of(std::uint32_t hash) const noexcept { return hash >> shift_; }
  bool may_load(std::uint32_t hash) const noexcept;
  [[gnu::noinline]] void note(std::uint32_t hash) noexcept;

  memory_source& source_;
  std::atomic<bool> active_{false};
  std::atomic<bool> ended_{false};
  word* words_ = nullptr;
  std::size_t bytes_ = 0;
  unsigned shift_ = 0;
  std::array<lock_line, lock_count> locks_;
};

} // namespace kvcache
