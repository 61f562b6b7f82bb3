// A thread that calls a function periodically, or soon after poke(), until it is destroyed.
//
// Thread-safety: poke(), runs() and await_runs() may be called by any thread at any time; the
// thread that constructed it destroys it. The function runs on the owned thread only and is not
// interrupted: it should return within milliseconds. Ownership: owns the thread, and joins it.
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
    std::chrono::milliseconds rest{5};       // the least between two runs, also when poked
  };

  // `work` must not throw. Throws std::system_error if no thread can be started.
  periodic_worker(std::function<void()> work, timing when);
  ~periodic_worker();
  periodic_worker(const periodic_worker&) = delete;
  periodic_worker& operator=(const periodic_worker&) = delete;

  // Makes the next run begin soon. Cheap if a poke is already pending.
  void poke() noexcept;

  // Completed runs since the start.
  std::uint64_t runs() const noexcept;

  // Waits until `count` runs have been completed since the start; false on timeout.
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
