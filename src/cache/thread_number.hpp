// A small number for each thread, the smallest that no other running thread has. So threads that
// run at the same time never share a stripe if there are at least as many stripes, however many
// threads have ended before.
//
// Thread-safety: every function may be called by any thread at any time.
#pragma once

namespace kvcache {

namespace detail {
// 0 until its first use. Initialised at compile time, so that reading it is one load.
extern constinit thread_local unsigned thread_number_plus_one;
unsigned draw_thread_number() noexcept;
} // namespace detail

// Assigned on first use, and released when the thread ends. Threads beyond the first thousand share
// a number; so may an ending thread with its successor.
inline unsigned this_thread_number() noexcept {
  const unsigned drawn = detail::thread_number_plus_one;
  return drawn != 0 ? drawn - 1 : detail::draw_thread_number();
}

} // namespace kvcache
