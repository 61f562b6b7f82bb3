// The parts of an entry_index that both index.cpp (operations) and index_resize.cpp (larger and
// smaller tables) use: how a hash is divided, the sizes of tables, and segments.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "cache/announced_lock.hpp"
#include "cache/cuckoo_table.hpp"
#include "cache/index.hpp"

namespace kvcache {

inline constexpr unsigned max_directory_depth = 17;
inline constexpr std::size_t max_segments = std::size_t{1} << max_directory_depth;

// Bits 24 to 31 of the hash, then 0 to 8, from the low end on: see index.cpp.
constexpr unsigned directory_bits(std::uint32_t hash) { return std::rotl(hash, 32 - tag_bits); }

// A hash that belongs to that position of the directory.
constexpr std::uint32_t hash_at(unsigned position) { return std::rotl(position, tag_bits); }

constexpr std::size_t percent_of(std::size_t slots, unsigned percent) {
  return slots * percent / 100;
}

// The load from which a table is replaced by a larger one. Beyond it insertions move many other
// slots, and libcuckoo gives up at about 97 %.
inline constexpr unsigned grow_percent = 94;

// The sizes of tables, with a packed_shape of 9:
//
//   shape             0    1    2  ...      7      8 |     9     10     11      12      13
//   slots            16   32   64  ...  2,048  4,096 | 6,144  8,192  9,216  10,240  12,288
//   slots a bucket    4    4    4  ...      4      8 |     6      8      9       5       6
struct entry_index::table_layout {
  std::size_t buckets;
  unsigned bucket_slots;

  static constexpr table_layout of(unsigned shape, unsigned packed_shape) noexcept {
    assert(packed_shape <= 9 && shape < packed_shape + packed_shapes);
    if (shape + 1 < packed_shape) return {std::size_t{4} << shape, 4};
    if (shape + 1 == packed_shape) return {std::size_t{2} << shape, 8};
    const std::size_t buckets = std::size_t{2} << packed_shape;
    const std::array<table_layout, packed_shapes> packed{
        {{buckets, 6}, {buckets, 8}, {buckets, 9}, {2 * buckets, 5}, {2 * buckets, 6}}};
    return packed[shape - packed_shape]; // NOLINT(*-constant-array-index): asserted
  }
  constexpr std::size_t slots() const noexcept { return buckets * bucket_slots; }
  constexpr std::size_t slots_bytes() const noexcept { return slots() * slot_bytes; }
  constexpr std::size_t locks_bytes() const noexcept {
    return buckets * lock_bytes_of(bucket_slots);
  }
  constexpr std::size_t bytes() const noexcept { return slots_bytes() + locks_bytes(); }
  // Whether a table of fewer slots always takes less memory, so that shrinking returns some.
  static constexpr bool grow_in_slots_and_bytes(unsigned packed_shape) noexcept {
    for (unsigned shape = 0; shape + 1 < packed_shape + packed_shapes; ++shape) {
      const table_layout smaller = of(shape, packed_shape);
      const table_layout larger = of(shape + 1, packed_shape);
      if (smaller.slots() >= larger.slots() || smaller.bytes() >= larger.bytes()) return false;
    }
    return true;
  }
};

// A table with its lock. Covers the hashes whose low `depth` directory bits are `prefix`.
// Operations hold the lock in shared mode while they are inside the table, a replacement holds it
// exclusively; it guards every member but `count`.
struct alignas(64) entry_index::segment {
  announced_lock lock;
  std::uint8_t depth = 0;
  std::atomic<std::uint8_t> bucket_slots{0}; // see arrays()
  std::atomic<std::uint8_t> lock_bytes{0};   // see arrays()
  std::atomic<std::uint16_t> bucket_mask{0}; // the number of buckets minus 1
  std::uint16_t grow_at = 0;
  std::atomic<std::uint32_t> count{0};
  std::uint32_t prefix = 1;                 // with a mask of 0: covers nothing
  std::uint32_t mask = 0;                   // the low `depth` bits
  table slots;                              // its map is null while the segment is unused
  std::atomic<std::byte*> buckets{nullptr}; // see arrays()
  std::atomic<std::byte*> locks{nullptr};   // see arrays()
  segment* next_unused = nullptr;

  bool covers(unsigned bits) const noexcept { return (bits & mask) == prefix; }
  void cover(unsigned new_prefix, unsigned new_depth) noexcept {
    prefix = new_prefix;
    depth = static_cast<std::uint8_t>(new_depth);
    mask = (1U << new_depth) - 1;
  }
  void leave_unused() noexcept {
    slots = table{};
    prefix = 1;
    mask = 0;
  }
  void set_table(const table& fresh, std::uint32_t entries) noexcept {
    slots = fresh;
    with_table(fresh, [this](auto& t) {
      const table_arrays made = t.arrays();
      bucket_slots.store(static_cast<std::uint8_t>(made.bucket_slots), std::memory_order_relaxed);
      lock_bytes.store(static_cast<std::uint8_t>(made.lock_bytes), std::memory_order_relaxed);
      bucket_mask.store(static_cast<std::uint16_t>(t.map.bucket_count() - 1),
                        std::memory_order_relaxed);
      locks.store(made.locks, std::memory_order_relaxed);
      buckets.store(made.buckets, std::memory_order_relaxed);
      grow_at = static_cast<std::uint16_t>(percent_of(t.map.capacity(), grow_percent));
    });
    count.store(entries, std::memory_order_relaxed);
  }

  bucket_pair buckets_for(std::uint32_t hash) const noexcept {
    return buckets_of(hash, bucket_mask.load(std::memory_order_relaxed));
  }

  // The arrays of the table. Without the lock, for prefetches, they may be of different tables:
  // that only wastes the prefetch.
  table_arrays arrays() const noexcept {
    return {buckets.load(std::memory_order_relaxed), locks.load(std::memory_order_relaxed),
            bucket_slots.load(std::memory_order_relaxed),
            lock_bytes.load(std::memory_order_relaxed)};
  }

  // Prefetches both buckets and their locks at once; without it their cache misses would follow
  // each other. Always inline: gcc drops calls of functions that only prefetch.
  [[gnu::always_inline]] static void prefetch(const table_arrays& in, bucket_pair pair) noexcept {
    const std::size_t bucket_bytes = in.bucket_slots * slot_bytes;
    const std::array<std::uint32_t, 2> both{pair.first, pair.second};
    for (const std::uint32_t number : both) prefetch_to_write(in.lock(number));
    for (const std::uint32_t number : both) {
      __builtin_prefetch(in.bucket(number));
      __builtin_prefetch(in.bucket(number) + bucket_bytes - 1);
    }
  }
};

// The segment that covers a hash, locked in shared mode, with its buckets prefetched.
class entry_index::shared_segment {
public:
  shared_segment(const entry_index& index, std::uint32_t hash) noexcept {
    for (;;) {
      segment_ = &index.segment_of(hash);
      segment_->lock.lock_shared();
      if (segment_->covers(directory_bits(hash))) break;
      segment_->lock.unlock_shared(); // it was split or merged meanwhile
    }
    arrays_ = segment_->arrays();
    buckets_ = segment_->buckets_for(hash);
    // A single table stays in the processor's caches. Prefetching its locks would only take their
    // lines from the other threads earlier.
    if (segment_->depth != 0) segment::prefetch(arrays_, buckets_);
  }
  ~shared_segment() { segment_->lock.unlock_shared(); }
  shared_segment(const shared_segment&) = delete;
  shared_segment& operator=(const shared_segment&) = delete;
  segment* operator->() const noexcept { return segment_; }
  const table_arrays& arrays() const noexcept { return arrays_; }
  bucket_pair buckets() const noexcept { return buckets_; } // of the hash

private:
  segment* segment_;
  table_arrays arrays_;
  bucket_pair buckets_;
};

} // namespace kvcache
