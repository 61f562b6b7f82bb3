#include "cache/announced_lock.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "cache/budget.hpp"
#include "cache/spin_lock.hpp"
#include "cache/striped_counter.hpp"
#include "cache/thread_number.hpp"

namespace kvcache {
namespace {

template <class Work>
void in_threads(unsigned count, Work work) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (auto& t : threads) t.join();
}

TEST(spin_lock, admits_one_thread_at_a_time) {
  spin_lock lock;
  int plain = 0; // a race on it would be seen by the sum, and by ThreadSanitizer
  in_threads(4, [&](unsigned) {
    for (int i = 0; i < 20'000; ++i) {
      const spin_guard guard{lock};
      ++plain;
    }
  });
  EXPECT_EQ(plain, 80'000);
}

TEST(spin_lock, try_lock_fails_while_it_is_held) {
  spin_lock lock;
  const auto is_free = [&lock] {
    if (!lock.try_lock()) return false;
    lock.unlock();
    return true;
  };
  lock.lock();
  std::thread{[&] { EXPECT_FALSE(is_free()); }}.join();
  lock.unlock();
  EXPECT_TRUE(is_free());
}

// How often the kernel saw the thread give its processor away to sleep; yielding is not that.
long times_slept(pid_t thread) {
  std::ifstream status{"/proc/self/task/" + std::to_string(thread) + "/status"};
  for (std::string word; status >> word;) {
    if (word == "voluntary_ctxt_switches:") {
      long times = 0;
      status >> times;
      return times;
    }
  }
  return 0;
}

// Starts a waiter, and comes back once it sleeps: never, if it only spins and yields.
template <class Wait>
void until_asleep_in(Wait wait, std::thread& waiter) {
  std::atomic<pid_t> id{0};
  waiter = std::thread{[&id, wait] {
    id = ::gettid();
    wait();
  }};
  while (id == 0) std::this_thread::yield();
  while (times_slept(id) < 20) std::this_thread::yield(); // starting a thread may take some
}

TEST(spin_lock, a_waiter_sleeps_while_the_holder_makes_no_progress) {
  spin_lock lock;
  lock.lock();
  std::thread waiter;
  until_asleep_in(
      [&lock] {
        lock.lock();
        lock.unlock();
      },
      waiter);
  lock.unlock();
  waiter.join();
}

// Two numbers that writers raise together, and readers must never see apart: plain ones, so that
// ThreadSanitizer, too, tells of a lock that lets in whom it should keep out.
class guarded_pair {
public:
  void raise() {
    lock_.lock();
    ++first_;
    ++second_;
    lock_.unlock();
  }
  void look() {
    lock_.lock_shared();
    if (first_ != second_) ++uneven_;
    lock_.unlock_shared();
  }
  int uneven() const { return uneven_; }
  int raised() const { return first_; } // once no thread raises it any more

private:
  announced_lock lock_;
  int first_ = 0;
  int second_ = 0;
  std::atomic<int> uneven_{0};
};

TEST(announced_lock, excludes_readers_and_writers_while_one_writes) {
  guarded_pair pair;
  in_threads(4, [&](unsigned number) {
    for (int i = 0; i < 10'000; ++i) number < 2 ? pair.raise() : pair.look();
  });
  EXPECT_EQ(pair.uneven(), 0);
  EXPECT_EQ(pair.raised(), 20'000);
}

TEST(announced_lock, admits_several_readers) {
  announced_lock lock;
  lock.lock_shared();
  std::thread{[&] { // would never end if readers shut one another out
    lock.lock_shared();
    lock.unlock_shared();
  }}
      .join();
  lock.unlock_shared();
}

TEST(announced_lock, a_waiter_sleeps_while_the_holder_makes_no_progress) {
  const auto write = [](announced_lock& lock) {
    lock.lock();
    lock.unlock();
  };
  const auto read = [](announced_lock& lock) {
    lock.lock_shared();
    lock.unlock_shared();
  };
  announced_lock lock;
  std::thread waiter;
  lock.lock_shared();
  until_asleep_in([&] { write(lock); }, waiter);
  lock.unlock_shared();
  waiter.join();
  lock.lock();
  until_asleep_in([&] { read(lock); }, waiter);
  lock.unlock();
  waiter.join();
}

TEST(announced_lock, admits_a_writer_while_a_reader_holds_another_lock) {
  announced_lock read;
  announced_lock written;
  read.lock_shared();
  std::thread{[&] {
    written.lock();
    written.unlock();
  }}.join();
  read.unlock_shared();
}

TEST(announced_lock_death_test, a_reader_that_enters_a_second_lock_is_aborted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  announced_lock first;
  announced_lock second;
  EXPECT_DEATH(
      {
        first.lock_shared();
        second.lock_shared();
      },
      "");
}

// Far more threads one after the other than there are places, and each must be looked through.
TEST(announced_lock, a_thread_that_ends_releases_its_slot) {
  announced_lock lock;
  for (int i = 0; i < 3000; ++i) {
    std::thread{[&] {
      lock.lock_shared();
      lock.unlock_shared();
    }}.join();
  }
  lock.lock();
  lock.unlock();
}

TEST(announced_lock, threads_beyond_the_slots_share_one_and_still_exclude_writers) {
  constexpr unsigned threads = 1024 + 40; // as many as there are places, and some more
  guarded_pair pair;
  std::atomic<unsigned> started{0};
  in_threads(threads, [&](unsigned number) {
    pair.look();
    ++started;
    while (started < threads) std::this_thread::yield(); // all have or want a place at once
    for (int i = 0; i < 20; ++i) number == 0 ? pair.raise() : pair.look();
  });
  EXPECT_EQ(pair.uneven(), 0);
  EXPECT_EQ(pair.raised(), 20);
}

TEST(budget, refuses_a_charge_beyond_the_limit_as_a_whole) {
  budget b{100};
  EXPECT_TRUE(b.try_charge(60));
  EXPECT_FALSE(b.try_charge(41));
  EXPECT_EQ(b.held_bytes(), 60U);
  EXPECT_TRUE(b.try_charge(40));
  b.refund(100);
  EXPECT_EQ(b.held_bytes(), 0U);
  b.set_limit_bytes(0);
  EXPECT_TRUE(b.try_charge(1'000'000)); // unlimited
}

TEST(budget, is_not_exceeded_by_threads_that_charge_concurrently) {
  budget b{1000};
  std::atomic<std::size_t> charged{0};
  in_threads(4, [&](unsigned) {
    for (int i = 0; i < 1000; ++i) {
      if (b.try_charge(7)) charged += 7;
    }
  });
  EXPECT_EQ(b.held_bytes(), charged);
  EXPECT_LE(charged, 1000U);
  EXPECT_GT(charged, 900U);
}

TEST(striped_counter, sums_the_additions_of_all_threads) {
  striped_counter counter{3};
  in_threads(5, [&](unsigned) {
    for (int i = 0; i < 1000; ++i) counter.add(i % 2 == 0 ? 3 : -1);
  });
  EXPECT_EQ(counter.value(), 5000U);
}

TEST(thread_number, threads_that_run_at_the_same_time_have_different_ones) {
  std::barrier all_have_drawn{8};
  std::array<unsigned, 8> numbers{};
  in_threads(8, [&](unsigned i) {
    numbers[i] = this_thread_number();
    all_have_drawn.arrive_and_wait();
    EXPECT_EQ(this_thread_number(), numbers[i]);
  });
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end());
}

TEST(thread_number, is_given_to_the_next_thread_once_its_own_has_ended) {
  unsigned first = 0;
  in_threads(1, [&](unsigned) { first = this_thread_number(); });
  for (int later = 0; later < 2000; ++later) { // more than there are numbers
    in_threads(1, [&](unsigned) { EXPECT_EQ(this_thread_number(), first); });
  }
}

} // namespace
} // namespace kvcache
