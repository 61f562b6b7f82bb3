// Runs a function when a thread ends, and takes no memory for it: for the destructor of
// a thread_local object glibc allocates when a thread first meets it, and ends the process where it
// cannot. The values of POSIX's keys lie in the thread itself as long as there are few keys (in
// glibc the first 32).
//
// A hook is for the whole process and for ever: one with static storage. Thread-safety: any thread
// may call arm at any time. Hooks run after the destructors of the thread's own objects, in no
// order among themselves; not for a thread that still runs when the process ends.
#pragma once

#include <cstdlib>
#include <pthread.h>

namespace kvcache {

class thread_exit_hook {
public:
  // Once all keys are used up, more than a thousand, nothing would ever run: aborts.
  explicit thread_exit_hook(void (*run)(void*)) noexcept {
    if (::pthread_key_create(&key_, run) != 0) std::abort();
  }
  thread_exit_hook(const thread_exit_hook&) = delete;
  thread_exit_hook& operator=(const thread_exit_hook&) = delete;

  // Has `run` called with this argument, not null, when the calling thread ends. False if that
  // takes memory and there is none.
  bool arm(void* argument) const noexcept { return ::pthread_setspecific(key_, argument) == 0; }

private:
  ::pthread_key_t key_{};
};

} // namespace kvcache
