// Visits a sample of the entries all over the cache, a few at a time, so that no thread that evicts
// waits for all of it.
//
//   begin -> gather, gather, ... until it returns true
//
// In a small cache the sample is all entries in the order of addresses; in a larger one, single
// entries at random positions, since neighbours often have the same age.
//
// Thread-safety: none; its owner guards it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/store.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

class entry_sampler {
public:
  using visitor = function_ref<void(walked_entry&)>;

  // Begins a new sample of about `entries`.
  void begin(const store& of, std::size_t entries) noexcept;

  // Visits about `slots` more slots: see store::walk. True once the sample is complete.
  bool gather(store& of, std::size_t slots, visitor visit) noexcept;

  std::uint64_t next_random() noexcept;

private:
  void visit_anywhere(store& of, visitor visit) noexcept;

  std::size_t slots_left_ = 0;
  std::size_t slots_per_slab_ = 1;
  bool all_ = false; // every entry is sampled, from the cursor on
  walk_cursor cursor_;
  std::uint64_t random_ = 0x9e3779b97f4a7c15U;
};

} // namespace kvcache
