// A sample of the ages of entries all over the cache, gathered a few at a time so that no thread
// that evicts waits for all of it.
//
//   begin -> gather, gather, ... until it returns true -> age_of_oldest
//
// In a small cache the sample is all entries in the order of addresses; in a larger one, single
// entries at random positions, since neighbours often have the same age.
//
// Thread-safety: none; the hand that uses it owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cache/store.hpp"

namespace kvcache {

// Epochs since an entry was accessed; 0 for a stamp that seems to lie ahead, which a racing access
// can leave. Half the range of stamps lies ahead, so expiry_sweep renews the stamps of old entries
// in time.
constexpr epoch age_of(entry_meta meta, epoch now) noexcept {
  const epoch age = meta.age(now);
  return age > entry_meta::stamp_mask / 2 ? 0 : age;
}

class age_sample {
public:
  static constexpr std::size_t most_entries = 2048;

  age_sample() noexcept {} // ages_ stays uninitialised

  // Begins a new sample of up to `entries`. REQUIRES: entries <= most_entries.
  void begin(const store& of, std::size_t entries) noexcept;

  // Samples about `slots` more slots. True once the sample is complete.
  bool gather(store& of, std::size_t slots) noexcept;

  // The age that only the oldest one in so many reach, by what has been gathered so far; 0 if that
  // is nothing.
  epoch age_of_oldest(std::size_t one_in) noexcept;
  // The age that all but the youngest one in so many reach; otherwise like age_of_oldest().
  epoch age_beyond_youngest(std::size_t one_in) noexcept;

private:
  std::uint64_t next_random() noexcept;
  void look_anywhere(store& of) noexcept;
  void note(const walked_entry& entry, epoch now) noexcept;
  epoch age_at(std::size_t rank) noexcept;

  std::array<epoch, most_entries> ages_; // the first count_ of them
  std::size_t count_ = 0;
  std::size_t slots_left_ = 0;
  std::size_t slots_per_slab_ = 1;
  bool all_ = false; // every entry is sampled, from the cursor on
  walk_cursor cursor_;
  std::uint64_t random_ = 0x9e3779b97f4a7c15U;
};

} // namespace kvcache
