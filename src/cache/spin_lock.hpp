// A small lock for critical sections of well under a microsecond, and the way of waiting for one. A
// waiter spins, then yields, and finally sleeps, because the daemon shares few processors with its
// clients and with other programs. Spinning alone uses the time slice that the holder needs.
// Yielding still competes with the holder: the scheduler may choose the waiter each time.
#pragma once

#include <atomic>
#include <ctime>
#include <sched.h>

#include "cache/thread_annotations.hpp"

namespace kvcache {

// One step of waiting: the first steps cost a few cycles, later ones yield the processor, and the
// last ones sleep.
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
  // About 100 us. Most critical sections are far shorter; table growth and multi-megabyte copies
  // are the exceptions.
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
