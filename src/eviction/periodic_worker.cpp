#include "eviction/periodic_worker.hpp"

#include <algorithm>
#include <utility>

namespace kvcache {

namespace {
constexpr unsigned max_lock_tries = 1000;
}

periodic_worker::periodic_worker(std::function<void()> work, timing when)
    : work_(std::move(work)), when_(when), thread_([this] { loop(); }) {}

periodic_worker::~periodic_worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void periodic_worker::poke() noexcept {
  if (poked_.exchange(true)) return;
  // Acquiring the mutex ensures that the worker is not between its check and its wait, where it
  // would miss the notification. It holds the mutex for a few instructions only; if it was
  // preempted there, the poke takes effect an interval later, which is better than waiting for it.
  for (unsigned tries = 0; tries < max_lock_tries; ++tries) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock.owns_lock()) break;
  }
  changed_.notify_all();
}

std::uint64_t periodic_worker::runs() const noexcept {
  const std::lock_guard lock(mutex_);
  return runs_;
}

bool periodic_worker::await_runs(std::uint64_t count, std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [&] { return runs_ >= count; });
}

void periodic_worker::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    poked_.store(false);
    const auto began = std::chrono::steady_clock::now();
    lock.unlock();
    work_();
    lock.lock();
    ++runs_;
    changed_.notify_all();
    const auto rested = std::chrono::steady_clock::now() + when_.rest;
    if (changed_.wait_until(lock, rested, [&] { return stopping_; })) break;
    changed_.wait_until(lock, std::max(rested, began + when_.interval),
                        [&] { return stopping_ || poked_.load(); });
  }
}

} // namespace kvcache
