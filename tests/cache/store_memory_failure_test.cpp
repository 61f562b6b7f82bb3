// Refused memory, at every point where memory is asked for: an error outcome, and the store whole.
#include "cache/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cache/counting_memory.hpp"
#include "cache/store_support.hpp"

namespace kvcache {
namespace {

using test::counting_memory;
using test::numbered;
using test::settle;
using test::value_of;

// A run that grows, replaces, shrinks and moves, checked against a plain map after every write.
class scenario {
public:
  scenario(counting_memory& memory, std::size_t keys, const table_limits& tables = {})
      : keys_{keys}, store_{cache_options{.hash_seed = std::pair{3U, 4U}}, memory, tables} {}

  void run() {
    for (std::size_t i = 0; i < keys_; ++i) put(i, 100 + i % 64);
    put(1, 40'000);
    put(2, 1'100'000); // spans slabs that are not committed yet
    for (std::size_t i = 0; i < keys_; i += 3) put(i, 400);
    swap(4, 5000);
    swap(5, 100'000);
    for (std::size_t i = 0; i < keys_; ++i) {
      if (i % 8 != 0) erase(i);
    }
    settle(store_);
    for (std::size_t i = 0; i < keys_ / 5; ++i) put(i, 700);
    check_all();
    clear();
    for (std::size_t i = 0; i < keys_ / 5; ++i) put(i, 50);
    check_all();
  }
  std::size_t refusals() const noexcept { return refusals_; }

private:
  void put(std::size_t i, std::size_t length) {
    const std::string key = numbered("key", i);
    const std::string value(length, static_cast<char>('a' + length % 26));
    const put_outcome outcome = store_.put(key, value, never);
    if (outcome == put_outcome::out_of_memory) {
      ++refusals_;
    } else {
      EXPECT_EQ(outcome, expected_.contains(key) ? put_outcome::replaced : put_outcome::inserted);
      expected_[key] = value;
    }
    check(key);
  }
  void swap(std::size_t i, std::size_t length) {
    const std::string key = numbered("key", i);
    if (!expected_.contains(key)) return; // its insertion was refused
    const std::string value(length, 's');
    const put_outcome outcome = store_.compare_and_swap(key, expected_[key], value, never);
    if (outcome == put_outcome::out_of_memory) {
      ++refusals_;
    } else {
      EXPECT_EQ(outcome, put_outcome::replaced);
      expected_[key] = value;
    }
    check(key);
  }
  void clear() {
    EXPECT_EQ(store_.clear(), expected_.size());
    expected_.clear();
    EXPECT_EQ(store_.size(), 0U);
    EXPECT_EQ(store_.live_bytes(), 0U);
  }
  void erase(std::size_t i) {
    const std::string key = numbered("key", i);
    EXPECT_EQ(store_.erase(key), expected_.erase(key) == 1);
  }
  void check(const std::string& key) {
    const auto found = expected_.find(key);
    EXPECT_EQ(value_of(store_, key), found == expected_.end() ? "(miss)" : found->second);
  }
  void check_all() {
    for (const auto& [key, value] : expected_) ASSERT_EQ(value_of(store_, key), value);
    EXPECT_EQ(store_.size(), expected_.size());
    EXPECT_EQ(store_.check_invariants(), "");
  }

  std::size_t keys_;
  store store_;
  std::map<std::string, std::string> expected_;
  std::size_t refusals_ = 0;
};

constexpr std::size_t many_keys = 2500;
constexpr std::size_t few_keys = 250;

// Small tables, so that few entries make them grow, split, shrink and merge.
constexpr table_limits small_tables{.initial_depth = 1, .packed_shape = 2};

// Returns how many requests were refused.
std::size_t run_refusing(std::size_t first_request, std::size_t count, std::size_t keys = many_keys,
                         const table_limits& tables = {}) {
  counting_memory memory;
  memory.refuse(first_request, count);
  try {
    scenario{memory, keys, tables}.run();
  } catch (const std::bad_alloc&) {
    // the store could not even start; only its constructor may throw
  }
  EXPECT_EQ(memory.reserved_bytes(), 0U);
  EXPECT_EQ(memory.mapped_bytes(), 0U);
  EXPECT_EQ(memory.allocated_bytes(), 0U);
  return memory.refused();
}

TEST(store_memory_failure, a_single_refusal_at_any_request_leaves_the_store_consistent) {
  std::size_t request = 1; // every single one, until a run needs fewer
  while (run_refusing(request, 1, few_keys, small_tables) != 0) {
    if (HasFailure()) FAIL() << "request " << request;
    ++request;
  }
  EXPECT_GT(request, 100U);
}

TEST(store_memory_failure, endless_refusals_leave_the_store_consistent) {
  std::size_t first = 1;
  while (run_refusing(first, counting_memory::all, few_keys, small_tables) != 0) {
    if (HasFailure()) FAIL() << "from request " << first;
    ++first;
  }
  EXPECT_GT(first, 100U);
}

TEST(store_memory_failure, refusals_leave_a_larger_store_consistent) {
  for (std::size_t request = 1; run_refusing(request, counting_memory::all) != 0;
       request += request < 80 ? 20 : 150) {
    if (HasFailure()) FAIL() << "from request " << request;
  }
}

// Writes keys that are its own, at random, and checks each against what it knows of them.
class one_of_many {
public:
  one_of_many(store& s, unsigned number) : store_(s), number_(number), random_(number) {}

  void run(std::size_t writes) {
    for (std::size_t i = 0; i < writes && !testing::Test::HasFailure(); ++i) {
      write_one();
      // Most go again now and then, so that tables and slabs shrink, too.
      if (i % 2000 == 1999) erase_most();
    }
    for (const auto& [key, value] : expected_) ASSERT_EQ(value_of(store_, key), value);
  }
  std::size_t refusals() const noexcept { return refusals_; }
  std::size_t entries() const noexcept { return expected_.size(); }

private:
  void write_one() {
    const std::string key = numbered(numbered("of ", number_) + " ", random_() % 1500);
    const auto known = expected_.find(key);
    const std::string value(random_() % 20 == 0 ? 40'000 : random_() % 300,
                            static_cast<char>('a' + random_() % 26));
    const put_outcome outcome = known != expected_.end() && random_() % 4 == 0
                                    ? store_.compare_and_swap(key, known->second, value, never)
                                    : store_.put(key, value, never);
    if (outcome == put_outcome::out_of_memory) {
      ++refusals_;
      ASSERT_EQ(value_of(store_, key), known == expected_.end() ? "(miss)" : known->second);
      return;
    }
    ASSERT_EQ(outcome, known == expected_.end() ? put_outcome::inserted : put_outcome::replaced);
    expected_[key] = value;
    ASSERT_EQ(value_of(store_, key), value);
  }
  void erase_most() {
    for (auto i = expected_.begin(); i != expected_.end();) {
      if (random_() % 8 == 0) {
        ++i;
        continue;
      }
      ASSERT_TRUE(store_.erase(i->first));
      i = expected_.erase(i);
    }
  }

  store& store_;
  unsigned number_;
  std::mt19937 random_;
  std::map<std::string, std::string> expected_;
  std::size_t refusals_ = 0;
};

TEST(store_memory_failure, refusals_among_many_threads_leave_all_entries_intact) {
  counting_memory memory;
  {
    // Not the smallest tables: of those one may be full before its neighbours, and refuse for that.
    store s{cache_options{.stripes = 2}, memory, {.initial_depth = 1, .packed_shape = 3}};
    memory.refuse_in_turns(40); // a table alone takes five or six
    std::atomic<bool> done{false};
    std::thread mover{[&] {
      while (!done) s.maintain(200);
    }};
    std::vector<one_of_many> writers;
    for (unsigned i = 0; i < 3; ++i) writers.emplace_back(s, i);
    std::vector<std::thread> threads;
    for (one_of_many& w : writers) threads.emplace_back([&w] { w.run(4000); });
    for (std::thread& t : threads) t.join();
    done = true;
    mover.join();
    std::size_t refusals = 0;
    std::size_t entries = 0;
    for (const one_of_many& w : writers) {
      refusals += w.refusals();
      entries += w.entries();
    }
    EXPECT_EQ(s.size(), entries);
    EXPECT_EQ(s.check_invariants(), "");
    EXPECT_GT(refusals, 10U);
    EXPECT_GT(s.stats().index_growths, 20U);
  }
  EXPECT_EQ(memory.reserved_bytes(), 0U);
  EXPECT_EQ(memory.mapped_bytes(), 0U);
  EXPECT_EQ(memory.allocated_bytes(), 0U);
}

TEST(store_memory_failure, the_old_value_stays_when_a_replacement_is_refused) {
  counting_memory memory;
  store s{cache_options{}, memory};
  ASSERT_EQ(s.put("k", "old", never), put_outcome::inserted);
  memory.refuse(1, counting_memory::all);
  EXPECT_EQ(s.put("k", std::string(10'000'000, 'n'), never), put_outcome::out_of_memory);
  EXPECT_EQ(s.compare_and_swap("k", "old", std::string(10'000'000, 'n'), never),
            put_outcome::out_of_memory);
  EXPECT_EQ(value_of(s, "k"), "old");
  EXPECT_TRUE(s.erase("k"));
  EXPECT_EQ(s.put_if_absent("k", std::string(10'000'000, 'n'), never), put_outcome::out_of_memory);
  EXPECT_EQ(s.size(), 0U);
  memory.refuse_nothing();
  EXPECT_EQ(s.put("k", std::string(10'000'000, 'n'), never), put_outcome::inserted);
}

TEST(store_memory_failure, all_memory_is_charged_and_returned) {
  counting_memory memory;
  {
    store s{cache_options{}, memory};
    const std::size_t fixed = memory.mapped_bytes(); // tables of addresses, touched as needed
    for (std::size_t i = 0; i < 50'000; ++i) s.put(numbered("key", i), "value", never);
    EXPECT_GE(s.index_bytes(), memory.mapped_bytes() - fixed + memory.allocated_bytes());
    EXPECT_GE(s.held_bytes(), s.index_bytes() + s.live_bytes() + s.free_bytes());
    s.clear();
    settle(s);
    EXPECT_LT(memory.mapped_bytes() - fixed + memory.allocated_bytes(), std::size_t{64} << 10);
    EXPECT_LT(s.held_bytes(), std::size_t{128} << 10);
  }
  EXPECT_EQ(memory.reserved_bytes(), 0U);
  EXPECT_EQ(memory.mapped_bytes(), 0U);
  EXPECT_EQ(memory.allocated_bytes(), 0U);
}

} // namespace
} // namespace kvcache
