// The part of store that a snapshot is made of, and loaded by.
#include <cassert>
#include <cstring>

#include "cache/store.hpp"

namespace kvcache {

bool store::visit(entry_ref ref, function_ref<void(const saved_entry&)> see) noexcept {
  bool seen = false;
  index_.visit(ref, [&](entry_handle& handle) {
    const entry e = arena_.at(handle);
    const entry_meta meta = e.meta();
    if (!has_expired(e, meta)) {
      seen = true;
      see({e.key(meta), view(handle, e, meta), meta});
    }
    return entry_index::fate::keep;
  });
  return seen;
}

// Nothing is evicted for what is loaded. The block is written before the permit is asked for, which
// others may wait for.
load_outcome store::load(const older_entry& older,
                         function_ref<bool(std::span<char>)> write_value) noexcept {
  if (std::max(older.key.size(), older.value_bytes) > cache::max_item_bytes || older.key.empty())
    return load_outcome::unreadable;
  if (size() >= max_entries_) return load_outcome::no_room;
  const entry_shape shape = entry_shape::of(older.key.size(), older.value_bytes, older.expires_at);
  const entry_arena::allocation block = arena_.allocate(shape.total_bytes());
  if (block.outcome != entry_arena::status::ok) return load_outcome::no_room;
  entry fresh = arena_.at(block.handle);
  fresh.write_header(shape, older.expires_at);
  char* const payload = fresh.payload(shape);
  std::memcpy(payload, older.key.data(), older.key.size());
  if (!write_value({payload + older.key.size(), older.value_bytes})) {
    arena_.release(block.handle);
    return load_outcome::unreadable;
  }
  fresh.publish(entry_meta::for_new_entry(current_epoch() - older.age_epochs, shape.has_expiry,
                                          shape.extended(), older.mark)
                    .with_references(older.references)
                    .with_uses(older.uses));
  if (older.expires_at != never) arena_.note_expiry(block.handle, older.expires_at);
  const load_outcome outcome = link_loaded(older.key, block.handle);
  if (outcome == load_outcome::loaded)
    entries_.add(1);
  else
    arena_.release(block.handle);
  return outcome;
}

load_outcome store::link_loaded(std::string_view key, entry_handle block) noexcept {
  using insertion = entry_index::insertion;
  const std::uint32_t hash = hash_(key);
  const load_filter::permit permit{loads_, hash};
  if (!permit) return loads_.ended() ? load_outcome::ended : load_outcome::superseded;
  const auto keep = [](entry_handle&) { return entry_index::fate::keep; };
  switch (index_.insert(hash, key, block, keep)) {
  case insertion::inserted:
    return load_outcome::loaded;
  case insertion::present:
    return load_outcome::superseded;
  case insertion::over_limit:
  case insertion::out_of_memory:
  case insertion::full:
    break;
  }
  return load_outcome::no_room;
}

} // namespace kvcache
