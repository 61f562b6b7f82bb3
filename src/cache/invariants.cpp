#include "cache/invariants.hpp"

#include <algorithm>
#include <vector>

namespace kvcache {

std::string_view find_broken_invariant(const entry_arena& arena, entry_index& index,
                                       const ghost_table& ghosts, const budget& held,
                                       const keyed_hash& hash, std::size_t entries) {
  const entry_arena::census census = arena.take_census();
  if (!census.fault.empty()) return census.fault;

  std::vector<entry_handle> handles;
  std::string_view fault;
  const std::string_view index_fault =
      index.check_slots([&](std::uint32_t slot_hash, entry_handle handle) {
        handles.push_back(handle);
        if (!arena.holds_entry(handle)) {
          fault = "a slot of the index names a block without a live entry";
          return;
        }
        const entry named = arena.at(handle);
        if (hash(named.key(named.meta())) != slot_hash)
          fault = "a slot of the index has the hash of another key";
      });
  if (!fault.empty()) return fault;
  if (!index_fault.empty()) return index_fault;

  std::sort(handles.begin(), handles.end());
  if (std::adjacent_find(handles.begin(), handles.end()) != handles.end())
    return "two slots of the index name the same block";
  if (handles.size() != census.blocks) return "an allocated block is not in the index";
  if (handles.size() != entries) return "the count of entries is not that of the slots";
  if (held.held_bytes() != census.held_bytes + index.bytes() + ghosts.bytes())
    return "the budget has not charged what arena, index and ghosts hold";
  return "";
}

// ---- the arena's part -----------------------------------------------------------------

entry_arena::census entry_arena::take_census() const noexcept {
  census all{.held_bytes = described_.load(std::memory_order_relaxed) * sizeof(slab)};
  std::size_t live_sum = 0;
  std::size_t free_sum = 0;
  for (std::uint32_t index = 0; index < pool_.frontier(); ++index) {
    if (owner_of(index) == nullptr) continue; // free, or a further slab of a large block
    const slab& counted = slabs_[index];
    if (counted.large) {
      ++all.blocks;
      all.held_bytes += counted.large_bytes;
      live_sum += counted.large_bytes;
      if (!at(handle_of(index, 0)).meta().live())
        all.fault = "an allocated block holds no live entry";
      continue;
    }
    const std::size_t block_bytes = block_bytes_of(counted.klass);
    all.blocks += counted.used;
    all.held_bytes += counted.touched_bytes;
    live_sum += counted.used * block_bytes;
    free_sum += (std::size_t{counted.carved} - counted.used) * block_bytes;
    if (const std::string_view fault = fault_of(index); !fault.empty()) all.fault = fault;
  }
  if (all.fault.empty() && live_sum != live_bytes())
    all.fault = "live_bytes is not the sum of the allocated blocks";
  if (all.fault.empty() && free_sum != free_bytes())
    all.fault = "free_bytes is not the sum of the freed blocks";
  return all;
}

// Of a slab of small blocks.
std::string_view entry_arena::fault_of(std::uint32_t index) const noexcept {
  const slab& counted = slabs_[index];
  const std::size_t block_bytes = block_bytes_of(counted.klass);
  const std::size_t capacity = slab_bytes / block_bytes;
  if (counted.used > counted.carved || counted.carved > capacity)
    return "a slab has more blocks than were cut";
  if (counted.carved * block_bytes > counted.touched_bytes)
    return "a block lies on pages that were not charged";
  if (counted.evacuating) return "a slab was left out of allocation";
  if (counted.listed != (counted.used < capacity))
    return "a slab with room is in no list, or a full one is";
  if (counted.kept_empty != (counted.used == 0))
    return "kept_empty does not say whether the slab is empty";

  std::size_t live = 0;
  for (std::size_t slot = 0; slot < counted.carved; ++slot)
    live += at(handle_of(index, slot * block_bytes)).meta().live() ? 1 : 0;
  if (live != counted.used) return "an allocated block holds no live entry";

  std::size_t freed = 0;
  for (std::uint32_t slot = counted.first_free; slot != no_slot && freed <= counted.carved;
       ++freed) {
    const entry block = at(handle_of(index, slot * block_bytes));
    if (slot >= counted.carved || block.meta().live())
      return "a free list names a block that is not free";
    slot = block.next_free();
  }
  return freed == std::size_t{counted.carved} - counted.used
             ? ""
             : "a freed block is not in its free list";
}

bool entry_arena::holds_entry(entry_handle handle) const noexcept {
  const std::uint32_t index = slab_of(handle);
  if (index >= pool_.frontier() || owner_of(index) == nullptr) return false;
  const slab& home = slabs_[index];
  const std::size_t offset = offset_of(handle) % slab_bytes;
  const bool begins =
      home.large ? offset == 0
                 : offset % block_bytes(handle) == 0 && offset / block_bytes(handle) < home.carved;
  return begins && at(handle).meta().live();
}

} // namespace kvcache
