// Repeats work that must not be dropped and needs a little memory until it succeeds. The caller
// waits meanwhile, so it is for what happens once, such as starting and stopping.
#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace kvcache::http {

// REQUIRES: work that throws std::bad_alloc has done nothing, or does the rest when called again.
template <class Work>
void until_there_is_memory(Work&& work) noexcept {
  constexpr std::chrono::milliseconds pause{10};
  for (;;) {
    try {
      work();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(pause);
    }
  }
}

} // namespace kvcache::http
