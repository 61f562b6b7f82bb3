#include "cache/announced_lock.hpp"

#include <array>
#include <cstdlib>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/thread_exit_hook.hpp"

namespace kvcache {
namespace {

using detail::announcement;

// As many as a server may have workers. Only those that were ever used are scanned and resident.
constexpr unsigned places = 1024;

constinit std::array<announcement, places> announcements{};
constinit std::atomic<unsigned> places_used{0}; // the highest slot that was ever taken, plus one

constinit announcement shared_announcement{};
constinit spin_lock shared_place; // held by the thread that uses it

// Set once an ending thread has released its slot: it must not take another.
constinit thread_local bool has_left = false;

// Releases the slot of a thread that ends.
void leave_place(void* place) noexcept {
  has_left = true;
  detail::own_announcement = nullptr;
  static_cast<announcement*>(place)->taken.store(false, std::memory_order_release);
}

bool ask_for_barriers() noexcept {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

// Executes a barrier in every thread of this process. The expedited command may fail for lack of
// memory; the global one, which waits until every processor has scheduled, needs none. Without
// either the lock would protect nothing.
void barrier_of_all_threads() noexcept {
  if (!detail::kernel_makes_barriers) return;
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return;
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) std::abort();
}

void wait_until_outside(const announcement& place, const void* lock) noexcept {
  spin_wait wait;
  while (place.inside.load(std::memory_order_seq_cst) == lock) wait.step();
}

} // namespace

namespace detail {

constinit thread_local announcement* own_announcement = nullptr;
constinit bool kernel_makes_barriers = false;

announcement& find_place() noexcept {
  for (unsigned i = 0; i < places && !has_left; ++i) {
    announcement& place = announcements[i];
    if (place.taken.load(std::memory_order_relaxed) ||
        place.taken.exchange(true, std::memory_order_acquire)) {
      continue;
    }
    unsigned used = places_used.load(std::memory_order_seq_cst);
    while (used <= i && !places_used.compare_exchange_weak(used, i + 1)) {
    }
    own_announcement = &place;
    static const thread_exit_hook when_a_thread_ends{leave_place};
    when_a_thread_ends.arm(&place); // if this fails, the slot stays taken
    return place;
  }
  shared_place.lock();
  return shared_announcement;
}

void leave_shared_place() noexcept {
  shared_announcement.inside.store(nullptr, std::memory_order_release);
  shared_place.unlock();
}

} // namespace detail

namespace {
// Registered once, before there is a second thread.
[[maybe_unused]] const bool registered = (detail::kernel_makes_barriers = ask_for_barriers());
} // namespace

void announced_lock::lock() noexcept {
  spin_wait wait;
  while (closed_.exchange(true, std::memory_order_seq_cst)) wait.step(); // another writer
  barrier_of_all_threads();
  const unsigned used = places_used.load(std::memory_order_seq_cst);
  for (unsigned i = 0; i < used; ++i) wait_until_outside(announcements[i], this);
  wait_until_outside(shared_announcement, this);
}

void announced_lock::wait_until_open(announcement& place) const noexcept {
  spin_wait wait;
  do {
    place.inside.store(nullptr,
                       std::memory_order_release); // or the writer would wait for this thread
    do {
      wait.step();
    } while (closed_.load(std::memory_order_relaxed));
    announce(place);
  } while (closed_.load(std::memory_order_seq_cst));
}

} // namespace kvcache
