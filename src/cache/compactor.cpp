#include "cache/compactor.hpp"

#include <array>

#include "cache/thread_cpu_time.hpp"

namespace kvcache {

compactor::result compactor::step(entry_arena::urgency how, std::size_t max_moves) noexcept {
  const std::uint32_t slab = arena_.begin_evacuation(how);
  if (slab == 0) return {};
  return work_on(slab, max_moves, [](entry_ref) { return fate::stays; });
}

compactor::result compactor::clear_slab(function_ref<bool(entry_ref)> evict,
                                        function_ref<bool(entry_ref)> evict_stranded) noexcept {
  const std::uint32_t slab = arena_.begin_evacuation(entry_arena::urgency::clearing);
  if (slab == 0) return {};
  return work_on(slab, slab_bytes, [&](entry_ref ref) { // of all its entries
    if (evict(ref)) return fate::evicted;
    if (move_to(ref, arena_.allocate_roomier_beside(slab)) != move::no_place) return fate::moved;
    return evict_stranded(ref) ? fate::evicted : fate::stays;
  });
}

// Calls `no_place` for an entry without a free block of its size; ends with the first that stays.
template <class NoPlace>
compactor::result compactor::work_on(std::uint32_t slab, std::size_t max_moves,
                                     NoPlace&& no_place) noexcept {
  const longest_step measured{longest_step_ns_};
  std::array<entry_ref, 64> refs;
  std::size_t moved = 0;
  std::size_t evicted = 0;
  std::uint32_t slot = 0;
  for (bool more = true; more && moved + evicted < max_moves;) {
    std::size_t count = 0;
    more = arena_.list_survivors(slab, slot, hash_, refs, count);
    for (std::size_t i = 0; i < count; ++i) {
      const move outcome = move_entry(refs[i], slab);
      if (outcome == move::done) ++moved;
      if (outcome != move::no_place) continue;
      switch (no_place(refs[i])) {
      case fate::evicted:
        ++evicted;
        break;
      case fate::moved:
        ++moved;
        break;
      case fate::stays:
        more = false;
        break;
      }
    }
  }
  moved_.fetch_add(moved, std::memory_order_relaxed);
  if (arena_.end_evacuation(slab)) return {progress::slab_returned, moved + evicted};
  return {moved + evicted != 0 ? progress::moved : progress::none, moved + evicted};
}

bool compactor::move_out(entry_ref ref, std::uint32_t slab) noexcept {
  if (move_entry(ref, slab) != move::done) return false;
  moved_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// An entry that is not in the index stays: another thread is about to insert or to free it, and the
// slab is tried again later.
compactor::move compactor::move_entry(entry_ref ref, std::uint32_t slab) noexcept {
  return move_to(ref, arena_.allocate_beside(slab));
}

// `target` is no_entry if there is no free block.
compactor::move compactor::move_to(entry_ref ref, entry_handle target) noexcept {
  if (target == no_entry) return move::no_place;
  const bool moved = index_.visit(ref, [&](entry_handle& handle) {
    const entry from = arena_.at(handle);
    entry to = arena_.at(target);
    to.write_copy_of(from);
    const entry_meta meta = from.meta();
    to.publish(meta);
    if (const tick expires_at = to.expires_at(meta); expires_at != never)
      arena_.note_expiry(target, expires_at);
    handle = target;
    return entry_index::fate::keep;
  });
  arena_.release(moved ? ref.handle : target);
  return moved ? move::done : move::gone;
}

} // namespace kvcache
