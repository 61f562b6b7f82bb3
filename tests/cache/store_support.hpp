// What several tests of the store share.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "cache/room_maker.hpp"
#include "cache/store.hpp"

namespace kvcache::test {

inline std::string value_of(store& s, std::string_view key) {
  std::string value = "(miss)";
  s.get(key, [&](std::string_view v) { value.assign(v); });
  return value;
}

inline std::string numbered(std::string_view what, std::size_t number) {
  return std::string{what} + std::to_string(number);
}

inline void settle(store& s) {
  while (s.maintain(1000)) {
  }
}

// The simplest eviction there is: walks on from where it was and evicts what it meets.
class first_met_evictor final : public room_maker {
public:
  explicit first_met_evictor(store& s) noexcept : store_(s) {}

  bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept override {
    std::size_t freed_bytes = 0;
    std::size_t freed_entries = 0;
    const std::uint64_t last_lap = cursor_.laps + 2;
    while (freed_bytes < wanted_bytes || freed_entries < entries_over) {
      std::array<entry_ref, batch> refs;
      std::size_t count = 0;
      store_.walk(cursor_, batch, [&](walked_entry& e) { refs[count++] = e.ref(); });
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = store_.evict(refs[i], eviction_cause::emergency,
                                               [](const store::entry_state&) { return true; });
        freed_bytes += bytes;
        freed_entries += bytes != 0 ? 1 : 0;
      }
      if (cursor_.laps == last_lap) return false;
    }
    return true;
  }

private:
  static constexpr std::size_t batch = 8;
  store& store_;
  walk_cursor cursor_;
};

} // namespace kvcache::test
