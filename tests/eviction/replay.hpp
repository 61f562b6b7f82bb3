// Replays sequences of keys against the real store with the real pickers, read through, with a
// limit of entries: CLOCK by way of --max-entries, LRU by evicting what is over.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/room_maker.hpp"
#include "cache/store.hpp"
#include "eviction/age_limits.hpp"
#include "eviction/clock_hand.hpp"
#include "eviction/lru.hpp"
#include "eviction/reference_policies.hpp"

namespace kvcache::test {

class key_text {
public:
  explicit key_text(key_id id) noexcept {
    size_ = static_cast<std::size_t>(
        std::to_chars(text_.data(), text_.data() + text_.size(), id).ptr - text_.data());
  }
  std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
  std::array<char, 16> text_{};
  std::size_t size_ = 0;
};

inline cache_options replay_options(std::size_t max_entries) {
  cache_options options;
  options.max_entries = max_entries;
  options.stripes = 1;
  options.hash_seed = {{1, 2}};
  return options;
}

template <class AfterPut>
double hit_percent(store& entries, const std::vector<key_id>& sequence, AfterPut&& after_put) {
  std::size_t hits = 0;
  for (const key_id id : sequence) {
    const key_text key(id);
    if (entries.get(key.view(), [](std::string_view) {})) {
      ++hits;
    } else {
      entries.put(key.view(), "a value of some length", never);
      after_put();
    }
  }
  return 100.0 * static_cast<double>(hits) / static_cast<double>(sequence.size());
}

inline double replay_clock(std::size_t entries_max, const std::vector<key_id>& sequence) {
  class clock_room final : public room_maker {
  public:
    explicit clock_room(store& entries) : hand_(entries, 1) {}
    bool make_room(std::size_t, std::size_t) noexcept override {
      return hand_.evict_one(eviction_cause::max_entries).bytes != 0;
    }

  private:
    clock_hand hand_;
  };
  store entries(replay_options(entries_max));
  entries.set_epoch_accesses(epoch_accesses_for(entries_max));
  clock_room room(entries);
  entries.set_room_maker(&room);
  const double percent = hit_percent(entries, sequence, [] {});
  entries.set_room_maker(nullptr);
  return percent;
}

inline double replay_lru(std::size_t entries_max, const std::vector<key_id>& sequence) {
  store entries(replay_options(0));
  entries.set_epoch_accesses(epoch_accesses_for(entries_max));
  entries.ghosts().resize(entries_max);
  lru oldest(entries, 1);
  return hit_percent(entries, sequence, [&] {
    while (entries.size() > entries_max && oldest.evict_one(eviction_cause::lru).bytes != 0) {
    }
  });
}

template <class Policy>
double simulate(Policy policy, const std::vector<key_id>& sequence) {
  std::size_t hits = 0;
  for (const key_id id : sequence) hits += policy.access(id) ? 1 : 0;
  return 100.0 * static_cast<double>(hits) / static_cast<double>(sequence.size());
}

} // namespace kvcache::test
