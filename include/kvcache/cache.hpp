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
#include "kvcache/entry_view.hpp"
#include "kvcache/function_ref.hpp"
#include "kvcache/put_outcome.hpp"
#include "kvcache/value_upload.hpp"

namespace kvcache {

class store;

class cache {
public:
  using value_visitor = function_ref<void(std::string_view value)>;
  using marked_visitor = function_ref<void(std::string_view value, unsigned mark)>;
  using entry_visitor = function_ref<void(const entry_view& entry)>;

  // The maximum length of a key, and of a value with its suffix.
  static constexpr std::size_t max_item_bytes = (std::size_t{64} << 20) + 1024;

  explicit cache(const cache_options& options); // throws std::bad_alloc
  ~cache();                                     // REQUIRES: no other thread is inside a member
  cache(const cache&) = delete;
  cache& operator=(const cache&) = delete;

  // Calls `visit` with the value, under the bucket's lock, and counts as an access; false on a
  // miss. `visit` must be short: it must not call this cache or another, block, or log. The view is
  // valid during the call only.
  bool get(std::string_view key, value_visitor visit) noexcept;

  // Like get, but does not count as an access.
  bool peek(std::string_view key, value_visitor visit) const noexcept;

  // The same with the mark of the value (see new_value), and with all that is known of the entry.
  bool get_marked(std::string_view key, marked_visitor visit) noexcept;
  bool read(std::string_view key, entry_visitor visit) noexcept;
  bool inspect(std::string_view key, entry_visitor visit) const noexcept; // counts as no access

  // Prefetches what a lookup of this key will read first, for a caller that knows the next key
  // while it processes another. A hint. It pays once the index is larger than the processor's
  // caches.
  void prefetch(std::string_view key) const noexcept;
  bool prefetch_pays() const noexcept;

  // Stores the value, with an expiry in ticks, or never. An overwrite sets the new expiry.
  put_outcome put(std::string_view key, std::string_view value, tick expires_at = never) noexcept;

  // Stores the value only if the key is absent (an expired entry counts as absent).
  put_outcome put_if_absent(std::string_view key, std::string_view value,
                            tick expires_at = never) noexcept;

  // Replaces the value only if the present one equals `expected`.
  put_outcome compare_and_swap(std::string_view key, std::string_view expected,
                               std::string_view desired, tick expires_at = never) noexcept;

  // Stores the value only if the precondition holds.
  put_outcome put_if(std::string_view key, const new_value& value, tick expires_at,
                     precondition when) noexcept;

  // A value of up to `most_bytes`, with its suffix, that is written piece by piece. Reserves
  // addresses, not memory. None if there are no addresses left, or the kernel refuses them.
  // REQUIRES: value_upload::least_bytes <= most_bytes <= max_item_bytes.
  value_upload begin_upload(std::string_view key, std::size_t most_bytes) noexcept;

  // True if the key was present (and had not expired).
  bool erase(std::string_view key) noexcept;

  // Erases the entry only if the precondition holds, which is not asked about an absent one.
  erase_outcome erase_if(std::string_view key, precondition when) noexcept;

  // Gives the entry another expiry, or none, if the precondition holds, which is not asked about an
  // absent one. Counts as an access. Needs memory only where a value of less than 16 KiB has had no
  // expiry and gets one.
  touch_outcome touch_if(std::string_view key, tick expires_at, precondition when) noexcept;

  // Erases all entries, in slices, while other threads continue; entries put meanwhile may be
  // erased or stay. Returns the number erased.
  std::size_t clear() noexcept;

  std::size_t size() const noexcept;  // entries, expired ones not yet collected included; cheap
  cache_stats stats() const noexcept; // takes microseconds, blocks no other thread

  // ---- for the owner; a limited_cache calls these itself ------------------------------
  tick now() const noexcept;
  void advance_clock(tick now) noexcept; // never backwards: an older value is ignored

  void set_hold_limit_bytes(std::size_t bytes) noexcept; // 0 = unlimited
  std::size_t hold_limit_bytes() const noexcept;

  // One slice of background work (compaction of sparse slabs, shrinking of tables), about
  // `budget_us` long at most. Returns true if there is more to do. One caller at a time.
  bool maintain(unsigned budget_us) noexcept;

private:
  friend class cache_internals; // gives the project's other layers access to the store

  std::unique_ptr<store> store_;
};

} // namespace kvcache
