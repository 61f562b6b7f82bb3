// The eviction layer's view of entries: a walk over entry memory, slab by slab, and references to
// entries that stay safe to use after the walk has released its locks.
//
// A walk follows the order of addresses. A freed slot is reused in place, and compaction only moves
// entries into other slots, so an entry is visited about once in a lap; one that moves meanwhile
// may be visited twice in that lap, or not at all. Slots being written are skipped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/entry.hpp"
#include "cache/keyed_hash.hpp"

namespace kvcache {

// Where an entry lives, in units of 8 bytes from the start of the arena; 0 is no entry.
using entry_handle = std::uint32_t;
inline constexpr entry_handle no_entry = 0;

// Names an entry outside all locks. By the time it is used, the entry may have been erased or
// moved, and its block reused: store::evict checks it against the index.
struct entry_ref {
  entry_handle handle = no_entry;
  std::uint32_t hash = 0;        // its place in the index
  std::uint32_t fingerprint = 0; // the rest of its 64 bits
};

// A position in the walk, any at first. `laps` counts how often the end of entry memory was passed.
struct walk_cursor {
  std::uint32_t slab = 0;
  std::uint32_t slot = 0;
  std::uint64_t laps = 0;
};

// One live entry, valid only during the callback that receives it.
class walked_entry {
public:
  walked_entry(entry e, entry_handle handle, entry_meta meta, std::size_t block_bytes,
               const keyed_hash& hash) noexcept
      : entry_(e), handle_(handle), meta_(meta), block_bytes_(block_bytes), hash_(hash) {}

  entry_meta meta() const noexcept { return meta_; }
  tick expires_at() const noexcept { return entry_.expires_at(meta_); } // `never` if it does not
  std::size_t block_bytes() const noexcept { return block_bytes_; }     // what evicting it frees

  // Stores a new stamp or reference count, unless the entry was accessed meanwhile.
  void set_meta(entry_meta desired) noexcept { entry_.exchange_meta(meta_, desired); }

  // Hashes the key: call it for eviction candidates only.
  entry_ref ref() const noexcept {
    const std::uint64_t hash = hash_.wide(entry_.key(meta_));
    return {handle_, static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(hash)};
  }

private:
  entry entry_;
  entry_handle handle_;
  entry_meta meta_;
  std::size_t block_bytes_;
  const keyed_hash& hash_;
};

} // namespace kvcache
