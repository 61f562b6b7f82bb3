// Writes the entries of a store to a file, hottest first, while others use the store.
//
// Each entry is as it was at some moment while the snapshot was made. One that was stored before
// and not removed meanwhile is in it: for that, nothing moves during a save (store::unmoved) unless
// memory is short. No lock is held for more than 64 KiB of copying; nothing is copied but to one
// block's buffer.
//
// Thread-safety: save() may be called by one thread at a time. Errors: as a save_result.
#pragma once

#include <cstdint>
#include <functional>

#include "cache/store.hpp"
#include "eviction/hit_density.hpp"
#include "snapshot/atomic_file.hpp"

namespace kvcache::snapshot {

// Wall time and the store's clock at the same moment.
struct moment {
  std::uint64_t unix_ms = 0;
  tick now = 0;
};

struct save_request {
  by_use_and_age<int> ranks; // the order of eviction: see age_limits::ranks()
  hit_density::experience experience;
  moment begun;
  std::uint64_t sync = 0; // random
  // Asked after each block. out_of_time: the rest is left out, and the file is complete as it is.
  enum class verdict : std::uint8_t { go_on, out_of_time, abort };
  std::function<verdict()> verdict_now = [] { return verdict::go_on; };
};

struct save_result {
  int error = 0; // errno; ECANCELED if it was aborted
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0; // of the file
  bool complete = false;   // all entries are in it
};

// The file replaces another one only if there is no error.
save_result save(store& entries, atomic_file& file, const save_request& request);

} // namespace kvcache::snapshot
