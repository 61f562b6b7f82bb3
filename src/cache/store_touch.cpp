// The part of store that changes an entry's expiry.
#include <algorithm>
#include <array>

#include "cache/store.hpp"

namespace kvcache {

namespace {

touch_outcome touch_outcome_of(put_outcome stored) noexcept {
  switch (stored) {
  case put_outcome::no_room:
    return touch_outcome::no_room;
  case put_outcome::out_of_memory:
    return touch_outcome::out_of_memory;
  default:
    return touch_outcome::touched;
  }
}

} // namespace

// In place where the entry has room for an expiry. Otherwise the value, which is short then, is
// copied and stored again with one, if nobody has changed the entry meanwhile.
touch_outcome store::touch_if(std::string_view key, tick expires_at, precondition when) noexcept {
  std::array<char, entry_shape::long_value_bytes> copy; // deliberately uninitialised
  const std::uint32_t hash = hash_(key);
  loads_.note_write(hash);
  for (;;) {
    touch_outcome outcome = touch_outcome::absent;
    new_value same;
    bool lacks_room = false;
    index_.find(hash, key, [&](entry_handle handle, entry e) {
      const entry_meta meta = e.meta();
      if (has_expired(e, meta)) return;
      const entry_view present = view(handle, e, meta);
      outcome = when(&present) ? touch_outcome::touched : touch_outcome::refused;
      if (outcome == touch_outcome::refused) return;
      lacks_room = !meta.has_expiry() && expires_at != never;
      if (lacks_room) {
        const std::string_view value = present.value();
        std::copy(value.begin(), value.end(), copy.begin());
        same = {{copy.data(), value.size()}, {}, static_cast<std::uint8_t>(present.mark())};
        return;
      }
      touch(e, meta);
      if (meta.has_expiry()) e.store_expiry(meta, expires_at);
      if (expires_at != never) arena_.note_expiry(handle, expires_at);
    });
    if (!lacks_room) {
      if (outcome == touch_outcome::touched) accesses_.count_access();
      return outcome;
    }
    const put_outcome stored = put_if(key, same, expires_at, [&](const entry_view* present) {
      return present != nullptr && present->mark() == same.mark && present->expires_at() == never &&
             present->value() == same.bytes && when(present);
    });
    if (stored != put_outcome::precondition_failed) return touch_outcome_of(stored);
  }
}

} // namespace kvcache
