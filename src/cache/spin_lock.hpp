// A small lock for critical sections of well under a microsecond, and how to wait for one. A waiter
// spins a little, then yields, and at last sleeps, because this daemon shares few processors with
// its clients and with others. One that only spins burns the time slice that the holder needs; one
// that yields still competes with it, and a scheduler may choose the waiter again each time: a
// holder that lost its processor to heavier threads would wait for its own waiters.
#pragma once

#include <atomic>
#include <ctime>
#include <sched.h>

#include "cache/thread_annotations.hpp"

namespace kvcache {

// One step of waiting: the first steps cost a few cycles, the later ones give the processor away,
// to whoever is next at first, and then for a time.
class spin_wait {
public:
  void step() noexcept {
    if (++steps_ % spins_before_yield != 0) [[likely]] {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("yield");
#endif
    } else if (steps_ < steps_before_sleep) {
      ::sched_yield();
    } else {
      steps_ = steps_before_sleep - 1; // sleeps from now on, however long it takes
      const timespec a_while{.tv_sec = 0, .tv_nsec = 50'000};
      ::nanosleep(&a_while, nullptr);
    }
  }

private:
  static constexpr unsigned spins_before_yield = 64;
  // Of the order of 100 us: little is longer under these locks, growth and values of megabytes are.
  static constexpr unsigned steps_before_sleep = 64 * spins_before_yield;
  unsigned steps_ = 0;
};

// Mutual exclusion in one word. Not fair, not recursive.
class KVCACHE_CAPABILITY("mutex") spin_lock {
public:
  constexpr spin_lock() noexcept = default;
  spin_lock(const spin_lock&) = delete;
  spin_lock& operator=(const spin_lock&) = delete;

  void lock() noexcept KVCACHE_ACQUIRE() {
    spin_wait wait;
    while (!try_lock()) {
      do {
        wait.step();
      } while (held_.load(std::memory_order_relaxed));
    }
  }
  bool try_lock() noexcept KVCACHE_TRY_ACQUIRE(true) {
    return !held_.exchange(true, std::memory_order_acquire);
  }
  void unlock() noexcept KVCACHE_RELEASE() { held_.store(false, std::memory_order_release); }

private:
  std::atomic<bool> held_{false};
};

class KVCACHE_SCOPED_CAPABILITY spin_guard {
public:
  explicit spin_guard(spin_lock& lock) noexcept KVCACHE_ACQUIRE(lock) : lock_(lock) {
    lock_.lock();
  }
  ~spin_guard() KVCACHE_RELEASE() { lock_.unlock(); }
  spin_guard(const spin_guard&) = delete;
  spin_guard& operator=(const spin_guard&) = delete;

private:
  spin_lock& lock_;
};

} // namespace kvcache
