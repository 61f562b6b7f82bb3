// A small number for each thread, the smallest that no other living thread has: so a few threads
// that live at the same time never share a stripe of what is striped in as many or more, however
// many have come and gone before them.
//
// Thread-safety: every function may be called by any thread at any time.
#pragma once

namespace kvcache {

namespace detail {
// 0 until the thread first asks. Initialised at compile time, so that reading it is one load.
extern constinit thread_local unsigned thread_number_plus_one;
unsigned draw_thread_number() noexcept;
} // namespace detail

// Drawn when the thread first asks, and free for another one when it ends. Threads beyond the
// first thousand share theirs, and so may one with its successor in its very last acts.
inline unsigned this_thread_number() noexcept {
  const unsigned drawn = detail::thread_number_plus_one;
  return drawn != 0 ? drawn - 1 : detail::draw_thread_number();
}

} // namespace kvcache
