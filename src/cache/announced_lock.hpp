// Many readers or one writer, for data that is read by every operation and replaced now and then:
// readers pay next to nothing, the writer pays for all.
//
// A reader writes to no memory that others write to. It announces, on a cache line of its thread's
// own, which lock it is inside; the writer closes the lock and then looks through all announcements
// until nobody is inside. Both must see one another: either the writer sees the announcement, or
// the reader sees that the lock is closed (Dekker, 1965). That takes a full barrier on each side,
// and the reader's would be the dearest part of a lookup, since it waits for every load under way.
// So the writer has the kernel execute it in the readers' place (membarrier(2), Linux 4.14), about
// a microsecond for each time something is replaced. Where the kernel refuses that,
// readers make their own.
//
// What was done inside the lock is visible to whoever comes next, as with any lock. Waiters spin a
// little, yield and then sleep (spin_wait). A thread is inside one lock as a reader at a time,
// whichever lock that is: it has one place to say so. Who tries to enter a second one is aborted,
// since nothing would keep writers out of the first.
#pragma once

#include <atomic>
#include <cstdlib>

#include "cache/spin_lock.hpp"

namespace kvcache {

namespace detail {

// Where a thread says what it is inside of.
struct alignas(64) announcement {
  std::atomic<const void*> inside{nullptr};
  std::atomic<bool> taken{false}; // by a thread that has not ended
};

// This thread's, or null before its first time, and where there are more threads than places.
extern constinit thread_local announcement* own_announcement;
// Whether the kernel makes the readers' barrier. Set before main() and never again.
extern constinit bool kernel_makes_barriers;

// A place for this thread. Where all are taken, and once the thread is ending, the one that the
// rest share, one at a time: until leave_shared_place().
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
      // A release, for a writer of the lock that this thread left just before: it may read this
      // instead of the null of the leaving, and must see what was done there.
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
