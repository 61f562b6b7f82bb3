// The cache: a concurrent map from byte strings to byte strings that accounts for every byte it
// holds and returns freed memory to the kernel.
//
// limited_cache.hpp runs it within a memory limit, as the daemon does. The whole program:
//
//   #include <iostream>
//   #include <kvcache/limited_cache.hpp>
//
//   int main() {
//     kvcache::limited_cache limited{{.memory_limit_bytes = std::uint64_t{1} << 30}};
//     kvcache::cache& cache = limited.entries();
//     const kvcache::tick in_a_minute = limited.clock().after(std::chrono::seconds{60});
//     cache.put("key", "value", in_a_minute);
//     cache.get("key", [](std::string_view value) { std::cout << value << '\n'; });
//   }
//
// A cache without limited_cache has only the limits of its options, and its owner calls
// advance_clock() and maintain().
//
// Keys and values are any bytes, NUL included; the store knows no encoding and no HTTP.
//
// Thread-safety: every member may be called by any thread at any time, unless it says otherwise.
//   Operations on one key are linearizable.
// Ownership: the cache copies keys and values; a view passed to a visitor is valid during the call.
// Errors: only the constructor throws. Whatever else can fail returns an outcome, and a failed
//   operation leaves the cache unchanged.
// Complexity: operations on one key take constant expected time and a lock on its bucket. clear()
//   takes time linear in the number of entries, in slices.
// Time: the cache reads no clock. Expiry is counted in the ticks of advance_clock();
//   coarse_clock.hpp turns time into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kvcache/cache_options.hpp"
#include "kvcache/cache_stats.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

class store;

enum class put_outcome : std::uint8_t {
  inserted,      // the key was not there
  replaced,      // it was, and has the new value now
  exists,        // put_if_absent: it was, and keeps its value
  mismatch,      // compare_and_swap: its value was not the expected one, or it was not there
  no_room,       // the budget is used up and no room could be made; the old value stays
  out_of_memory, // the kernel refused memory; the old value stays
  too_large      // longer than the store can ever hold (cache::max_item_bytes); the old value stays
};

// The coarse clock: ticks of 100 ms since the cache was made; 2^32 of them last 13.6 years.
using tick = std::uint32_t;
inline constexpr tick ticks_per_second = 10;
inline constexpr tick never = 0; // as an expiry: the entry does not expire

class cache {
public:
  using value_visitor = function_ref<void(std::string_view value)>;

  // Key bytes, and value bytes, that one entry can hold at most.
  static constexpr std::size_t max_item_bytes = std::size_t{64} << 20;

  explicit cache(const cache_options& options); // throws std::bad_alloc if it cannot even start
  ~cache();                                     // REQUIRES: no other thread is inside a member
  cache(const cache&) = delete;
  cache& operator=(const cache&) = delete;

  // Calls `visit` with the value, under the bucket's lock, and counts as an access; false on a
  // miss. `visit` must be short: it must not call this cache or another, block, or log. The view
  // dies with the call.
  bool get(std::string_view key, value_visitor visit) noexcept;

  // Like get, but is no access: ages and reference bits stay.
  bool peek(std::string_view key, value_visitor visit) const noexcept;

  // Has the processor fetch what a lookup of this key will read first: for who knows the next key
  // while still at work on another. A hint without effect. It pays once the index is larger than
  // the processor's caches.
  void prefetch(std::string_view key) const noexcept;
  bool prefetch_pays() const noexcept;

  // Stores the value; an expiry in ticks, or never. An overwrite takes over the new expiry.
  put_outcome put(std::string_view key, std::string_view value, tick expires_at = never) noexcept;

  // Stores it only where the key is not there (an expired entry is not there).
  put_outcome put_if_absent(std::string_view key, std::string_view value,
                            tick expires_at = never) noexcept;

  // Replaces the value only where the present one equals `expected`.
  put_outcome compare_and_swap(std::string_view key, std::string_view expected,
                               std::string_view desired, tick expires_at = never) noexcept;

  // True if the key was there (and had not expired).
  bool erase(std::string_view key) noexcept;

  // Erases everything, in slices, while others go on; entries put meanwhile may stay or go. Returns
  // how many went.
  std::size_t clear() noexcept;

  std::size_t size() const noexcept;  // entries, expired ones not yet collected included; cheap
  cache_stats stats() const noexcept; // microseconds; stops nobody

  // ---- for its owner; under a limited_cache its threads do this
  // -----------------------------------
  tick now() const noexcept;
  void advance_clock(tick now) noexcept; // never backwards: an older value is ignored

  void set_hold_limit_bytes(std::size_t bytes) noexcept; // 0 = unlimited
  std::size_t hold_limit_bytes() const noexcept;

  // One slice of background work (moving survivors out of sparse pages, shrinking tables), at most
  // about `budget_us` long. Returns true if there is more to do. One caller at a time.
  bool maintain(unsigned budget_us) noexcept;

private:
  friend class cache_internals; // the way of the layers above to the store

  std::unique_ptr<store> store_;
};

} // namespace kvcache
