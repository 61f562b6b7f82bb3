// The limits of one cache, fixed when it is made.
//
// Thread-safety: plain values. Ownership: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace kvcache {

struct cache_options {
  // The maximum number of entries; 0 means no limit. It may be exceeded by at most one entry for
  // each thread that is putting at that moment. A higher one costs memory only as entries arrive.
  std::size_t max_entries = 0;

  // Bytes the cache may hold from the kernel (entries, index, free blocks); 0 means unlimited.
  // Can be changed later: cache::set_hold_limit_bytes. A PUT that would exceed it evicts entries in
  // a limited_cache, and is refused with no_room if that fails.
  std::size_t hold_limit_bytes = 0;

  // The highest memory limit that the cache must be able to use; 0 means hold_limit_bytes, or if
  // that is 0 too, the machine's memory. It decides how entries are addressed: above 24 GiB an
  // entry takes some 4 bytes more, above 48 GiB 12. The cache can use up to 80 GiB.
  std::size_t largest_limit_bytes = 0;

  // Threads that put at the same time: the number of independent allocation stripes. More stripes
  // mean less contention and a few KiB each; a wrong value costs speed, never correctness.
  unsigned stripes = 2;

  // Key of the keyed hash. Drawn from the kernel's random source when absent (the normal case);
  // tests fix it to make a run repeatable.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> hash_seed = std::nullopt;
};

} // namespace kvcache
