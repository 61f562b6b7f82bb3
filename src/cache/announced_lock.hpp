// A readers-writer lock for data that every operation reads and that is rarely replaced: readers
// pay almost nothing, writers pay for all.
//
// A reader writes no cache line that other threads write. It announces, in a slot of its own
// thread, which lock it is inside; the writer closes the lock and then waits until no announcement
// names it. Each must see the other: either the writer sees the announcement, or the reader sees
// that the lock is closed (Dekker, 1965). That needs a full barrier on both sides, and the reader's
// would be the most expensive part of a lookup. So the writer has the kernel execute the readers'
// barriers (membarrier(2), Linux 4.14), about a microsecond for each exclusive acquisition. If the
// kernel does not support that, readers execute their own.
//
// Thread-safety: acquire and release as with any lock; waiters spin, yield and then sleep
// (spin_wait). REQUIRES: a thread holds at most one announced_lock in shared mode. Acquiring a
// second one aborts: the thread has a single announcement slot, so the first lock would no longer
// be protected. Complexity: shared: a few instructions; exclusive: linear in the number of threads.
#pragma once

#include <atomic>
#include <cstdlib>

#include "cache/spin_lock.hpp"

namespace kvcache {

namespace detail {

// The announcement slot of a thread.
struct alignas(64) announcement {
  std::atomic<const void*> inside{nullptr};
  std::atomic<bool> taken{false}; // by a thread that still runs
};

// This thread's slot; null before its first use, and if there are more threads than slots.
extern constinit thread_local announcement* own_announcement;
// Whether the kernel executes the readers' barriers. Set before main().
extern constinit bool kernel_makes_barriers;

// A slot for this thread. If all are taken, and once the thread is ending: the slot that the
// remaining threads share, one at a time, until leave_shared_place().
announcement& find_place() noexcept KVCACHE_NO_THREAD_SAFETY_ANALYSIS;
void leave_shared_place() noexcept KVCACHE_NO_THREAD_SAFETY_ANALYSIS;

} // namespace detail

class announced_lock {
public:
  announced_lock() noexcept = default;
  announced_lock(const announced_lock&) = delete;
  announced_lock& operator=(const announced_lock&) = delete;

  void lock_shared() noexcept {
    detail::announcement* place = detail::own_announcement;
    if (place == nullptr) [[unlikely]] {
      place = &detail::find_place();
    }
    if (place->inside.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
      std::abort();
    }
    announce(*place);
    if (!closed_.load(std::memory_order_seq_cst)) [[likely]] {
      return;
    }
    wait_until_open(*place);
  }

  void unlock_shared() noexcept {
    if (detail::announcement* place = detail::own_announcement; place != nullptr) [[likely]] {
      place->inside.store(nullptr, std::memory_order_release);
    } else {
      detail::leave_shared_place();
    }
  }

  void lock() noexcept;
  void unlock() noexcept { closed_.store(false, std::memory_order_release); }

private:
  void announce(detail::announcement& place) const noexcept {
    if (detail::kernel_makes_barriers) [[likely]] {
      // A release, for a writer of the lock that this thread held just before: the writer may read
      // this value instead of the null of unlock_shared(), and must see what was done under the
      // lock.
      place.inside.store(this, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst); // the compiler must keep the order
    } else {
      place.inside.exchange(this, std::memory_order_seq_cst);
    }
  }
  void wait_until_open(detail::announcement& place) const noexcept;

  std::atomic<bool> closed_{false};
};

} // namespace kvcache
