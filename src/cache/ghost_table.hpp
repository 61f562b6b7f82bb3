// Remembers which keys were evicted lately, and how often each had been used: two bytes a key. An
// entry whose key is found here starts with one use more than it had, instead of none.
//
// Buckets of 16 ghosts, chosen by one half of the key's hash. A ghost is 14 bits of the other half
// and two bits of uses. A new one moves the others of its bucket one place on, and the last one
// out: so the place of a ghost tells about how long ago its key was evicted. One new key in a
// thousand is taken for another that was evicted; this costs a little eviction quality.
//
// Source: ghosts go back to Johnson and Shasha, "2Q", VLDB 1994; sets of fingerprints ordered by
// time are cheaper than the queue of keys there.
//
// Thread-safety: every member may be called by any thread at any time, resize() by one at a time.
// No lock: ghosts are hints, and threads that change the same bucket at once may lose or duplicate
// some.
// Ownership: borrows budget and memory source.
// Accounting: a table is charged to the budget as a whole, whatever the limit is.
// Errors: where the kernel refuses memory, the table stays empty.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cache/budget.hpp"
#include "cache/memory_source.hpp"
#include "cache/reuse_counts.hpp"
#include "cache/walk.hpp"

namespace kvcache {

class ghost_table {
public:
  static constexpr unsigned bucket_ghosts = 16;
  static constexpr std::size_t ghost_bytes = 2;

  template <class T>
  using by_use_and_place = std::array<std::array<T, bucket_ghosts>, use_class_count>;

  ghost_table(budget& held, memory_source& source) noexcept : budget_(held), source_(source) {}
  ~ghost_table();
  ghost_table(const ghost_table&) = delete;
  ghost_table& operator=(const ghost_table&) = delete;

  // Removes all ghosts and sets the capacity; 0 returns the memory to the kernel. The first call
  // reserves addresses for four times as many, which no later one exceeds.
  void resize(std::size_t ghosts) noexcept;

  std::size_t capacity() const noexcept {
    return std::size_t{buckets_.load(std::memory_order_relaxed)} * bucket_ghosts;
  }
  std::size_t bytes() const noexcept { return charged_bytes_.load(std::memory_order_relaxed); }

  // The key of `ref` was evicted.
  void add(const entry_ref& ref, unsigned uses) noexcept;

  // A new entry has that key: its uses, and forgets the ghost. Nothing if there is none.
  std::optional<unsigned> take(std::uint32_t hash, std::uint32_t fingerprint) noexcept {
    if (buckets_.load(std::memory_order_relaxed) == 0) return std::nullopt;
    return find_and_remove(hash, fingerprint);
  }

  // How many ghosts take() has found so far, modulo 2^32.
  by_use_and_place<std::uint32_t> found() const noexcept;

  // Adds the ghosts of bucket `number % (capacity() / bucket_ghosts)` to `counts`.
  void count_bucket(std::uint64_t number, by_use_and_place<std::uint32_t>& counts) const noexcept;

private:
  // A bucket is four words, whose least significant bits hold the newest ghost.
  using word = std::atomic<std::uint64_t>;
  static constexpr unsigned ghosts_per_word = 4;
  static constexpr unsigned bucket_words = bucket_ghosts / ghosts_per_word;
  static constexpr std::size_t bucket_bytes = bucket_ghosts * ghost_bytes;
  static constexpr unsigned ghost_bits = 16;
  static constexpr unsigned uses_bits = 2;

  word* bucket_for(std::uint32_t hash) const noexcept;
  static std::uint64_t ghost_of(std::uint32_t fingerprint) noexcept;
  std::optional<unsigned> find_and_remove(std::uint32_t hash, std::uint32_t fingerprint) noexcept;
  static void remove(word* bucket, unsigned place) noexcept;

  budget& budget_;
  memory_source& source_;
  word* words_ = nullptr; // reserved addresses; set once, before buckets_ is first above 0
  std::size_t reserved_bytes_ = 0;
  std::size_t committed_bytes_ = 0;
  std::atomic<std::size_t> charged_bytes_{0}; // whole pages
  std::atomic<std::uint32_t> buckets_{0};
  by_use_and_place<std::atomic<std::uint32_t>> found_{};
};

} // namespace kvcache
