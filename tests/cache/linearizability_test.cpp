// Records small concurrent histories on one key and searches, for each, an order of its operations
// that a plain variable could have produced and that respects real time (Wing and Gong, 1993).
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache/store_support.hpp"

namespace kvcache {
namespace {

enum class kind : std::uint8_t { get, put, put_if_absent, compare_and_swap, erase };

struct operation {
  kind what = kind::get;
  std::string value{};    // written
  std::string expected{}; // of compare_and_swap
  put_outcome outcome = put_outcome::inserted;
  std::optional<std::string> read{}; // by get
  bool erased = false;
  std::uint64_t called = 0; // order of calls and returns over all threads
  std::uint64_t returned = 0;
};

using variable = std::optional<std::string>;

// Whether the operation, done on `v`, gives what was recorded; then changes `v` as it does.
bool explains(const operation& op, variable& v) {
  switch (op.what) {
  case kind::get:
    return op.read == v;
  case kind::put:
    if (op.outcome != (v ? put_outcome::replaced : put_outcome::inserted)) return false;
    v = op.value;
    return true;
  case kind::put_if_absent:
    if (op.outcome != (v ? put_outcome::precondition_failed : put_outcome::inserted)) return false;
    if (!v) v = op.value;
    return true;
  case kind::compare_and_swap: {
    const bool equal = v == op.expected;
    if (op.outcome != (equal ? put_outcome::replaced : put_outcome::precondition_failed))
      return false;
    if (equal) v = op.value;
    return true;
  }
  case kind::erase:
    if (op.erased != v.has_value()) return false;
    v.reset();
    return true;
  }
  return false;
}

class linearization {
public:
  explicit linearization(const std::vector<operation>& history) : history_(history) {}
  bool exists() { return search(0, std::nullopt); }

private:
  bool search(std::uint64_t done, const variable& v) {
    if (done == (std::uint64_t{1} << history_.size()) - 1) return true;
    if (!seen_.insert({done, v}).second) return false;
    std::uint64_t first_return = UINT64_MAX; // nothing called after this can come next
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done >> i & 1U) == 0) first_return = std::min(first_return, history_[i].returned);
    }
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done >> i & 1U) != 0 || history_[i].called > first_return) continue;
      variable next = v;
      if (explains(history_[i], next) && search(done | std::uint64_t{1} << i, next)) return true;
    }
    return false;
  }

  const std::vector<operation>& history_;
  std::set<std::pair<std::uint64_t, variable>> seen_;
};

std::string some_value(std::mt19937_64& random) {
  static constexpr std::array<std::size_t, 3> lengths{3, 5, 300}; // in place, and in a new block
  return std::string(lengths[random() % lengths.size()], static_cast<char>('a' + random() % 4));
}

void perform(store& s, std::string_view key, operation& op) {
  switch (op.what) {
  case kind::get:
    s.get(key, [&](std::string_view value) { op.read.emplace(value); });
    break;
  case kind::put:
    op.outcome = s.put(key, op.value, never);
    break;
  case kind::put_if_absent:
    op.outcome = s.put_if_absent(key, op.value, never);
    break;
  case kind::compare_and_swap:
    op.outcome = s.compare_and_swap(key, op.expected, op.value, never);
    break;
  case kind::erase:
    op.erased = s.erase(key);
    break;
  }
}

TEST(linearizability, a_wrong_history_is_recognised) {
  operation put{.what = kind::put, .value = "a", .called = 1, .returned = 2};
  operation miss{.what = kind::get, .called = 3, .returned = 4};
  EXPECT_FALSE(linearization({put, miss}).exists());
  miss.called = 0; // now they overlap
  EXPECT_TRUE(linearization({put, miss}).exists());
}

// All that happens to a store beside the recorded operations: other keys come and go, so that its
// small tables grow, split, shrink and merge, others are evicted, and survivors are moved.
class surroundings {
public:
  explicit surroundings(store& s) : store_(s) {
    threads_.emplace_back([this] { crowd(); });
    threads_.emplace_back([this] { evict(); });
    threads_.emplace_back([this] {
      while (!stop_) store_.maintain(200);
    });
  }
  ~surroundings() {
    stop_ = true;
    for (auto& t : threads_) t.join();
  }
  bool all_happened() const {
    const cache_stats s = store_.stats();
    return s.index_growths > 100 && s.index_shrinks > 20 && s.entries_moved > 1000 &&
           s.evictions[static_cast<std::size_t>(eviction_cause::lru)] > 100;
  }

private:
  static constexpr tick far_off = 1'000'000; // what may be evicted

  void crowd() {
    for (std::size_t round = 0; !stop_; ++round) {
      for (std::size_t i = 0; i < 5000 && !stop_; ++i) {
        store_.put(test::numbered("crowd", i), std::string(round * 37 % 300, 'c'),
                   i % 16 == 0 ? far_off : never);
      }
      for (std::size_t i = 0; i < 5000 && !stop_; ++i) {
        if (i % 7 != 0) store_.erase(test::numbered("crowd", i));
      }
    }
  }
  void evict() {
    walk_cursor cursor;
    while (!stop_) {
      std::vector<entry_ref> refs;
      store_.walk(cursor, 64, [&](walked_entry& e) { refs.push_back(e.ref()); });
      for (const entry_ref ref : refs) {
        store_.evict(ref, eviction_cause::lru,
                     [](const store::entry_state& now) { return now.expires_at == far_off; });
      }
    }
  }

  store& store_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

TEST(linearizability, every_recorded_history_has_an_order) {
  constexpr std::size_t threads = 3;
  constexpr std::size_t operations_per_thread = 6;
  constexpr std::size_t rounds = 1500; // at least, until all there is has happened beside
  constexpr std::size_t rounds_at_most = 100'000; // then it should have
  store s{cache_options{}, system_memory_source(), {.initial_depth = 1, .packed_shape = 3}};
  std::atomic<std::uint64_t> time{0};
  std::atomic<std::size_t> swaps{0};
  std::atomic<std::size_t> matches{0};
  std::array<std::vector<operation>, threads> recorded;
  std::atomic<bool> wrong{false};
  std::size_t round = 0;
  bool over = false;
  std::optional<surroundings> beside{std::in_place, s};

  const auto judge = [&]() noexcept { // between two rounds, on one of the threads
    std::vector<operation> history;
    for (auto& part : recorded) {
      history.insert(history.end(), part.begin(), part.end());
      part.clear();
    }
    if (history.empty()) return; // before a round
    if (!linearization{history}.exists()) wrong = true;
    ++round;
    over = wrong || round == rounds_at_most || (round >= rounds && beside->all_happened());
  };
  std::barrier together{static_cast<std::ptrdiff_t>(threads), judge};
  const auto work = [&](std::size_t thread) {
    std::mt19937_64 random{thread};
    while (!over) {
      together.arrive_and_wait();
      const std::string key = test::numbered("key", round);
      std::string last = "a"; // seen or written by this thread: often what is there
      for (std::size_t i = 0; i < operations_per_thread; ++i) {
        operation op{
            .what = static_cast<kind>(random() % 5), .value = some_value(random), .expected = last};
        op.called = ++time;
        perform(s, key, op);
        op.returned = ++time;
        if (op.what == kind::get && op.read) last = *op.read;
        if (op.what == kind::put || op.outcome == put_outcome::replaced) last = op.value;
        if (op.what == kind::compare_and_swap) {
          ++swaps;
          matches += op.outcome == put_outcome::replaced ? 1 : 0;
        }
        recorded[thread].push_back(op);
      }
      together.arrive_and_wait();
    }
  };
  std::vector<std::thread> pool;
  for (std::size_t t = 0; t < threads; ++t) pool.emplace_back(work, t);
  for (auto& t : pool) t.join();
  EXPECT_FALSE(wrong) << "in round " << round;
  EXPECT_GT(matches * 4, swaps.load());
  EXPECT_TRUE(beside->all_happened()) << "in " << round << " rounds";
  beside.reset();
  EXPECT_EQ(s.check_invariants(), "");
}

} // namespace
} // namespace kvcache
