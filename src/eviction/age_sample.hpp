// A sample of the ages of entries all over the cache, gathered a few at a time so that nobody who
// evicts waits for the whole of it.
//
//   begin → gather, gather, … until it says true → age_of_oldest
//
// Where the cache is small all entries are the sample, in the order of their addresses; in a larger
// one, single ones at random places, since neighbours are often of one age. Not thread-safe: the
// hand that uses it owns it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cache/store.hpp"

namespace kvcache {

// How many epochs ago an entry was accessed; 0 for a stamp that seems to lie ahead, which a racing
// access can leave. Half the range of stamps lies ahead, so older entries must be given a younger
// stamp in time: expiry_sweep does.
constexpr epoch age_of(entry_meta meta, epoch now) noexcept {
  const epoch age = meta.age(now);
  return age > entry_meta::stamp_mask / 2 ? 0 : age;
}

class age_sample {
public:
  static constexpr std::size_t most_entries = 2048;

  age_sample() noexcept {} // on purpose not zero-filled

  // Begins anew, for up to `entries` of them. REQUIRES: entries <= most_entries.
  void begin(const store& of, std::size_t entries) noexcept;

  // Looks at about `slots` slots more. True: the sample is complete.
  bool gather(store& of, std::size_t slots) noexcept;

  // The age that only the oldest one in so many reach; 0 where there were no entries. It is what
  // has been gathered so far that counts. Afterwards the sample has to be begun anew.
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
  bool all_ = false; // every entry is looked at, from the cursor on
  walk_cursor cursor_;
  std::uint64_t random_ = 0x9e3779b97f4a7c15U;
};

} // namespace kvcache
