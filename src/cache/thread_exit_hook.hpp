// Runs a function when a thread ends, without allocating memory. For the destructor of a
// thread_local object glibc allocates on first use and aborts on failure, while the values of POSIX
// keys are stored in the thread itself as long as there are few keys (in glibc the first 32).
//
// REQUIRES: a hook has static storage duration.
// Thread-safety: any thread may call arm at any time. Hooks run after the destructors of the
// thread's own objects, in unspecified order; not for threads that still run when the process ends.
#pragma once

#include <cstdlib>
#include <pthread.h>

namespace kvcache {

class thread_exit_hook {
public:
  // Aborts if all keys (more than a thousand) are in use.
  explicit thread_exit_hook(void (*run)(void*)) noexcept {
    if (::pthread_key_create(&key_, run) != 0) std::abort();
  }
  thread_exit_hook(const thread_exit_hook&) = delete;
  thread_exit_hook& operator=(const thread_exit_hook&) = delete;

  // Calls `run` with this argument, not null, when the calling thread ends. False if that needs
  // memory and there is none.
  bool arm(void* argument) const noexcept { return ::pthread_setspecific(key_, argument) == 0; }

private:
  ::pthread_key_t key_{};
};

} // namespace kvcache
