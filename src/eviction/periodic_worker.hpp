// A thread that does one thing every so often, or at once when it is poked, until it is destroyed.
//
// Thread-safety: poke(), runs() and await_runs() may be called by any thread at any time; the
// thread that made it destroys it. Ownership: owns the thread, joins it. The work runs on that
// thread only, and is not interrupted: it should return within milliseconds.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace kvcache {

class periodic_worker {
public:
  struct timing {
    std::chrono::milliseconds interval{100}; // from the start of one run to that of the next
    std::chrono::milliseconds rest{5};       // at least, also when poked: pokes cannot make it spin
  };

  // `work` must not throw. Throws std::system_error if no thread can be had.
  periodic_worker(std::function<void()> work, timing when);
  ~periodic_worker();
  periodic_worker(const periodic_worker&) = delete;
  periodic_worker& operator=(const periodic_worker&) = delete;

  // Has the next run begin soon. Cheap when a poke is pending already.
  void poke() noexcept;

  // Completed runs since the start.
  std::uint64_t runs() const noexcept;

  // Waits until `count` runs have been completed since the start; false if that took too long.
  bool await_runs(std::uint64_t count, std::chrono::milliseconds at_most);

private:
  void loop();

  const std::function<void()> work_;
  const timing when_;
  std::atomic<bool> poked_{false};
  mutable std::mutex mutex_; // guards runs_ and stopping_
  std::condition_variable changed_;
  std::uint64_t runs_ = 0;
  bool stopping_ = false;
  std::thread thread_; // last: it uses all the others
};

} // namespace kvcache
