// Everything at once, on one store: writers, readers, eviction, moving, growth and shrinking.
// Checks that no key that is surely there is ever missed, and that no value is torn or older than
// it may be.
//
// Set KVCACHE_STRESS_FACTOR to run longer.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::numbered;

std::size_t stress_factor() {
  const char* text = std::getenv("KVCACHE_STRESS_FACTOR"); // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? 1 : static_cast<std::size_t>(std::max(1, std::atoi(text)));
}

// The value of a key at a version: its length and every byte follow from both, so that a mixture of
// two values, or of a value and reused memory, cannot pass for one.
std::string value_at(std::size_t key, std::uint64_t version) {
  std::mt19937_64 random{key * 1'000'003 + version};
  std::string value(random() % 400, '\0');
  for (char& c : value) c = static_cast<char>('a' + random() % 26);
  return std::to_string(version) + ":" + value;
}

// What a reader may rely on. Only the key's one writer changes it: odd while a change is under way.
struct key_state {
  std::atomic<std::uint64_t> changes{0};
  std::atomic<std::uint64_t> version{0}; // 0: erased
};

class stress {
public:
  static constexpr std::size_t writers = 3;
  static constexpr std::size_t keys_per_writer = 2000;

  void run() {
    std::vector<std::thread> background;
    background.emplace_back([&] { breathe(); });
    background.emplace_back([&] { maintain(); });
    background.emplace_back([&] { evict(); });
    background.emplace_back([&] { pass_time(); });
    for (int i = 0; i < 2; ++i) background.emplace_back([&, i] { read(static_cast<unsigned>(i)); });
    std::vector<std::thread> writing;
    for (std::size_t w = 0; w < writers; ++w) writing.emplace_back([&, w] { write(w); });
    for (auto& t : writing) t.join();
    EXPECT_TRUE(all_happened());
    stop_ = true;
    for (auto& t : background) t.join();
    check_the_end();
  }

private:
  bool all_happened() const {
    const cache_stats now = store_.stats();
    return now.index_growths >= 20 && now.index_shrinks >= 5 && now.entries_moved >= 1000 &&
           now.evictions[static_cast<std::size_t>(eviction_cause::lru)] >= 100 &&
           now.evictions[static_cast<std::size_t>(eviction_cause::expired)] >= 100;
  }
  static std::string name(std::size_t key) { return numbered("key", key); }

  void write(std::size_t writer) {
    std::mt19937_64 random{writer};
    // Until all that is to be survived has happened while they were at it; then it should have.
    const std::size_t least = 20'000 * stress_factor();
    const std::size_t most = 100 * least;
    for (std::size_t i = 0; i < least || (i < most && !all_happened()); ++i) {
      const std::size_t key = writer * keys_per_writer + random() % keys_per_writer;
      key_state& state = states_[key];
      const std::uint64_t next = state.version + 1 + i;
      ++state.changes;
      switch (random() % 8) {
      case 0:
        EXPECT_EQ(store_.erase(name(key)), state.version != 0);
        state.version = 0;
        break;
      case 1: {
        const put_outcome outcome = store_.put_if_absent(name(key), value_at(key, next), never);
        EXPECT_EQ(outcome,
                  state.version == 0 ? put_outcome::inserted : put_outcome::precondition_failed);
        if (state.version == 0) state.version = next;
        break;
      }
      case 2: {
        const put_outcome outcome = store_.compare_and_swap(name(key), value_at(key, state.version),
                                                            value_at(key, next), never);
        EXPECT_EQ(outcome,
                  state.version != 0 ? put_outcome::replaced : put_outcome::precondition_failed);
        if (state.version != 0) state.version = next;
        break;
      }
      default: {
        const put_outcome outcome = store_.put(name(key), value_at(key, next), never);
        EXPECT_EQ(outcome, state.version != 0 ? put_outcome::replaced : put_outcome::inserted);
        state.version = next;
      }
      }
      ++state.changes;
    }
  }

  void read(unsigned seed) {
    std::mt19937_64 random{1000 + seed};
    while (!stop_) {
      const std::size_t key = random() % states_.size();
      store_.prefetch(name(key)); // must not mind what becomes of the tables
      const std::uint64_t changes = states_[key].changes;
      const std::uint64_t version = states_[key].version;
      const std::string value = test::value_of(store_, name(key));
      const bool steady = changes % 2 == 0 && states_[key].changes == changes;
      if (value != "(miss)") {
        const std::uint64_t read_version = std::strtoull(value.c_str(), nullptr, 10);
        ASSERT_EQ(value, value_at(key, read_version)) << "torn";
        if (steady) {
          ASSERT_EQ(read_version, version) << "stale";
        }
      } else if (steady) {
        ASSERT_EQ(version, 0U) << "missed " << name(key);
      }
      const std::size_t brief = random() % brief_keys;
      store_.get(numbered("brief", brief), [&](std::string_view seen) {
        EXPECT_EQ(seen.find_first_not_of(brief_letter(brief)), std::string_view::npos) << "torn";
      });
    }
  }

  // Fills and empties the store around the checked keys: tables grow, split, shrink and merge.
  void breathe() {
    constexpr std::size_t crowd = 40'000;
    for (std::size_t round = 0; !stop_; ++round) {
      for (std::size_t i = 0; i < crowd && !stop_; ++i) {
        store_.put(numbered("crowd", i), std::string(round * 37 % 300, 'c'), never);
      }
      if (round % 3 == 2) continue; // replaced by other sizes instead
      for (std::size_t i = 0; i < crowd; ++i) store_.erase(numbered("crowd", i));
    }
  }

  void maintain() {
    while (!stop_) store_.maintain(300);
  }

  // Evicts only what has an expiry (far off), puts such entries itself, and ages what it passes.
  void evict() {
    walk_cursor cursor;
    for (std::size_t i = 0; !stop_; ++i) {
      store_.put(numbered("evictable", i % 500), std::string(i % 200, 'e'), tick{1'000'000});
      std::vector<entry_ref> refs;
      store_.walk(cursor, 100, [&](walked_entry& e) {
        e.set_meta(e.meta().aged());
        if (e.meta().has_expiry()) refs.push_back(e.ref());
      });
      for (const entry_ref ref : refs) {
        store_.evict(ref, eviction_cause::lru, [](const store::entry_state& now) {
          return now.meta.has_expiry() && now.expires_at == 1'000'000;
        });
      }
      if (i % 64 == 0) store_.advance_epoch();
    }
  }

  // Entries that expire all the time, some of them large; read() reads them, too.
  void pass_time() {
    std::mt19937_64 random{77};
    walk_cursor cursor;
    for (std::size_t i = 0; !stop_; ++i) {
      const tick now = store_.now();
      const std::size_t key = random() % brief_keys;
      const std::size_t size = random() % 50 == 0 ? 5000 + random() % 100'000 : random() % 300;
      store_.put(numbered("brief", key), std::string(size, brief_letter(key)),
                 now + 1 + static_cast<tick>(random() % 3));
      std::vector<entry_ref> refs;
      store_.walk_expired(cursor, 200, 4, [&](walked_entry& e) { refs.push_back(e.ref()); });
      for (const entry_ref ref : refs) {
        store_.evict(ref, eviction_cause::expired, [&](const store::entry_state& seen) {
          return seen.expires_at <= store_.now();
        });
      }
      if (i % 32 == 0) store_.advance_clock(now + 1);
    }
  }
  static constexpr std::size_t brief_keys = 300;
  static char brief_letter(std::size_t key) { return static_cast<char>('a' + key % 26); }

  void check_the_end() {
    EXPECT_EQ(store_.check_invariants(), "");
    store_.maintain(1'000'000);
    EXPECT_EQ(store_.check_invariants(), "");
    std::size_t present = 0;
    for (std::size_t key = 0; key < states_.size(); ++key) {
      const std::uint64_t version = states_[key].version;
      ASSERT_EQ(test::value_of(store_, name(key)),
                version == 0 ? "(miss)" : value_at(key, version));
      present += version != 0 ? 1 : 0;
    }
    EXPECT_GE(store_.size(), present);
    store_.clear();
    EXPECT_EQ(store_.size(), 0U);
    EXPECT_EQ(store_.live_bytes(), 0U);
    EXPECT_EQ(store_.check_invariants(), "");
  }

  // Small tables: the crowd makes them split and merge all the time.
  store store_{cache_options{.stripes = 3}, system_memory_source(),
               table_limits{.initial_depth = 1, .packed_shape = 5}};
  std::vector<key_state> states_{writers * keys_per_writer};
  std::atomic<bool> stop_{false};
};

TEST(store_stress, no_key_is_missed_and_no_value_is_torn) { std::make_unique<stress>()->run(); }

// At both limits, with room made by eviction and everything cleared now and then: any key may be
// gone at any time, but what is there is whole and the newest, and no limit is passed.
class stress_at_the_limits {
public:
  static constexpr std::size_t writers = 3;
  static constexpr std::size_t keys_per_writer = 4000;
  static constexpr std::size_t max_entries = 6000;
  static constexpr std::size_t limit_bytes = std::size_t{2} << 20;

  void run() {
    store_.set_room_maker(&evictor_);
    std::vector<std::thread> background;
    background.emplace_back([&] {
      while (!stop_) store_.maintain(300);
    });
    background.emplace_back([&] {
      for (std::size_t i = 0; !stop_; ++i) {
        if (i % 512 == 0) store_.clear();
        EXPECT_LE(store_.held_bytes(), limit_bytes + few_bytes_that_are_not_refused);
        EXPECT_LE(store_.size(), max_entries + writers);
        std::this_thread::yield();
      }
    });
    background.emplace_back([&] { read(); });
    std::vector<std::thread> writing;
    for (std::size_t w = 0; w < writers; ++w) writing.emplace_back([&, w] { write(w); });
    for (auto& t : writing) t.join();
    stop_ = true;
    for (auto& t : background) t.join();
    EXPECT_EQ(store_.check_invariants(), "");
    std::size_t present = 0;
    for (std::size_t key = 0; key < versions_.size(); ++key) {
      present += check(key) ? 1 : 0;
    }
    EXPECT_EQ(store_.size(), present);
    EXPECT_GT(refused_ + inserted_, 0U);
    EXPECT_GT(inserted_, refused_);
    store_.clear();
    EXPECT_EQ(store_.size(), 0U);
    EXPECT_EQ(store_.live_bytes(), 0U);
    EXPECT_EQ(store_.check_invariants(), "");
  }

private:
  // Descriptors of slabs and segments, and the small tables that clear() puts in.
  static constexpr std::size_t few_bytes_that_are_not_refused = std::size_t{128} << 10;

  static std::string name(std::size_t key) { return numbered("key", key); }

  void write(std::size_t writer) {
    std::mt19937_64 random{writer};
    const std::size_t operations = 20'000 * stress_factor();
    for (std::size_t i = 1; i <= operations; ++i) {
      const std::size_t key = writer * keys_per_writer + random() % keys_per_writer;
      if (random() % 16 == 0) {
        store_.erase(name(key));
        continue;
      }
      const put_outcome outcome = store_.put(name(key), value_at(key, i), never);
      if (outcome == put_outcome::no_room) {
        ++refused_;
        continue;
      }
      EXPECT_TRUE(outcome == put_outcome::inserted || outcome == put_outcome::replaced);
      ++inserted_;
      versions_[key] = i; // after the put: a reader may see it, or one newer
      check(key);
    }
  }

  // True if it is there.
  bool check(std::size_t key) {
    const std::uint64_t at_least = versions_[key];
    const std::string value = test::value_of(store_, name(key));
    if (value == "(miss)") return false;
    const std::uint64_t read_version = std::strtoull(value.c_str(), nullptr, 10);
    EXPECT_EQ(value, value_at(key, read_version)) << "torn";
    EXPECT_GE(read_version, at_least) << "older than what was put before";
    return true;
  }

  void read() {
    std::mt19937_64 random{99};
    while (!stop_) check(random() % versions_.size());
  }

  // One thread's evictor would be walked by all: each call has the cursor to itself.
  class locked_evictor final : public room_maker {
  public:
    explicit locked_evictor(store& s) : evictor_(s) {}
    bool make_room(std::size_t wanted_bytes, std::size_t entries_over) noexcept override {
      const std::lock_guard lock{mutex_};
      return evictor_.make_room(wanted_bytes, entries_over);
    }

  private:
    std::mutex mutex_;
    test::first_met_evictor evictor_;
  };

  store store_{
      cache_options{.max_entries = max_entries, .hold_limit_bytes = limit_bytes, .stripes = 3},
      system_memory_source(), table_limits{.initial_depth = 1, .packed_shape = 5}};
  locked_evictor evictor_{store_};
  std::vector<std::atomic<std::uint64_t>> versions_ =
      std::vector<std::atomic<std::uint64_t>>(writers * keys_per_writer);
  std::atomic<std::size_t> refused_{0};
  std::atomic<std::size_t> inserted_{0};
  std::atomic<bool> stop_{false};
};

TEST(store_stress,
     no_limit_is_passed_and_no_value_is_torn_while_everything_is_cleared_and_evicted) {
  std::make_unique<stress_at_the_limits>()->run();
}

} // namespace
} // namespace kvcache
