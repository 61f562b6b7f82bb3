// The part of entry_arena that visits live entries, in the order of addresses.
#include <algorithm>

#include "cache/entry_arena.hpp"
#include "cache/slab_geometry.hpp"

namespace kvcache {
namespace {

// Slabs of other sizes that walk_fitting() skips at most in one call.
constexpr std::uint32_t max_slabs_skipped = 4096;

} // namespace

std::size_t entry_arena::walk(walk_cursor& cursor, std::size_t max_slots, const keyed_hash& hash,
                              function_ref<void(walked_entry&)> visit) noexcept {
  std::size_t visited = 0;
  const auto counting = [&](walked_entry& e) {
    ++visited;
    visit(e);
  };
  bool wrapped = false;
  for (std::size_t slots = 0; slots < max_slots;) {
    if (cursor.slab >= pool_.frontier()) {
      cursor.slab = 0;
      cursor.slot = 0;
      ++cursor.laps;
      if (wrapped) break; // no live entry
      wrapped = true;
    }
    slots += walk_slab(cursor, std::min(max_slots - slots, walk_batch_slots), hash, counting);
  }
  return visited;
}

std::uint32_t entry_arena::walk_fitting(walk_cursor& cursor, std::size_t bytes,
                                        const keyed_hash& hash,
                                        function_ref<void(walked_entry&)> visit) noexcept {
  const size_class least = class_for(bytes);
  const size_class most = std::min(least + classes_above_small, size_class_count - 1);
  for (std::uint32_t left = std::min(pool_.frontier(), max_slabs_skipped); left != 0; --left) {
    if (cursor.slab >= pool_.frontier()) cursor = {.laps = cursor.laps + 1};
    const std::uint32_t index = cursor.slab;
    if (has_blocks_of(index, least, most)) {
      walk_slab(cursor, walk_batch_slots, hash, visit);
      return index;
    }
    cursor = {.slab = index + 1, .laps = cursor.laps};
  }
  return no_slab;
}

bool entry_arena::has_blocks_of(std::uint32_t index, size_class least, size_class most) noexcept {
  stripe* s = owner_of(index);
  if (s == nullptr) return false;
  spin_guard guard{s->lock};
  const slab& seen = slabs_[index];
  return owner_of(index) == s && !seen.large && least <= seen.klass && seen.klass <= most;
}

// Visits live entries in up to `max_slots` slots of the cursor's slab and advances the cursor.
// Returns the slots passed, at least 1.
std::size_t entry_arena::walk_slab(walk_cursor& cursor, std::size_t max_slots,
                                   const keyed_hash& hash,
                                   function_ref<void(walked_entry&)> visit) noexcept {
  const std::uint32_t index = cursor.slab;
  const std::uint32_t first = cursor.slot;
  cursor.slab = index + 1;
  cursor.slot = 0;
  stripe* s = owner_of(index);
  if (s == nullptr) return 1;
  spin_guard guard{s->lock};
  const slab& walked = slabs_[index];
  if (owner_of(index) != s) return 1; // the slab changed its owner meanwhile
  const bool large = walked.large;
  const std::size_t block_bytes = large ? walked.large_bytes : geometry[walked.klass].block_bytes;
  const std::uint32_t carved = large ? 1 : walked.carved;
  const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(carved, first + max_slots));
  for (std::uint32_t slot = first; slot < end; ++slot) {
    const entry_handle handle = handle_of(index, slot * block_bytes);
    const entry met = at(handle);
    const entry_meta meta = met.acquire_meta();
    if (!meta.live()) continue;
    walked_entry e{met, handle, meta, block_bytes, hash};
    visit(e);
  }
  if (end < carved) {
    cursor.slab = index;
    cursor.slot = end;
  }
  return std::max<std::size_t>(1, end > first ? end - first : 0);
}

bool entry_arena::walk_within(std::uint32_t index, std::uint32_t& from_slot, const keyed_hash& hash,
                              function_ref<void(walked_entry&)> visit) noexcept {
  walk_cursor cursor{index, from_slot, 0};
  walk_slab(cursor, walk_batch_slots, hash, visit);
  from_slot = cursor.slot;
  return cursor.slab == index;
}

// ---- expiry ---------------------------------------------------------------------------

// A hint, written without a lock. An entry that is put between another thread's check and its store
// may be missed; walk() and a lookup still find it.
void entry_arena::note_expiry(entry_handle handle, tick expires_at) noexcept {
  lower_to(slabs_[slab_of(handle)].first_expiry, expires_at);
  if (!anything_expires_.load(std::memory_order_relaxed)) {
    anything_expires_.store(true, std::memory_order_relaxed);
  }
}

void entry_arena::lower_to(std::atomic<tick>& first_expiry, tick expires_at) noexcept {
  tick first = first_expiry.load(std::memory_order_relaxed);
  while ((first == never || first > expires_at) &&
         !first_expiry.compare_exchange_weak(first, expires_at, std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
  }
}

std::size_t entry_arena::walk_expired(walk_cursor& cursor, tick now, std::size_t max_slots,
                                      std::uint32_t max_slabs, const keyed_hash& hash,
                                      function_ref<void(walked_entry&)> visit) noexcept {
  if (!anything_expires_.load(std::memory_order_relaxed)) return 0;
  std::size_t slots = 0;
  std::uint32_t passed = 0; // slabs in a row in which nothing has expired
  while (slots < max_slots && passed < max_slabs) {
    if (cursor.slab >= pool_.frontier()) {
      cursor = {.slab = 0, .slot = 0, .laps = cursor.laps + 1};
    }
    const std::uint32_t index = cursor.slab;
    std::atomic<tick>& first_expiry = slabs_[index].first_expiry;
    if (cursor.slot == 0) {
      const tick first = first_expiry.load(std::memory_order_relaxed);
      if (first == never || first > now) {
        ++cursor.slab;
        ++passed;
        continue;
      }
      // Expiries noted from here on are kept; those noted before belong to entries met below.
      first_expiry.exchange(never, std::memory_order_acq_rel);
    }
    passed = 0;
    tick first_left = never;
    const auto look = [&](walked_entry& e) {
      const tick expires_at = e.expires_at();
      if (expires_at == never) return;
      if (expires_at <= now) {
        visit(e);
      } else if (first_left == never || expires_at < first_left) {
        first_left = expires_at;
      }
    };
    slots += walk_slab(cursor, std::min(max_slots - slots, walk_batch_slots), hash, look);
    if (first_left != never) lower_to(first_expiry, first_left);
  }
  return slots;
}

} // namespace kvcache
