// A cache that adapts to the tightest memory limit that applies to the process: its cgroup, any
// parent cgroup, the machine, or a limit of its own. It evicts as the daemon does: gradually from
// 70 % of the limit on, at once from 95 %. The top of cache.hpp has an example.
//
// Thread-safety: any member may be called by any thread at any time, from the end of the
//   constructor to the start of the destructor.
// Ownership: owns the cache and two threads. One advances the cache's clock, one reads memory and
//   evicts.
// Errors: the constructor throws std::invalid_argument where an option is out of its range (its
//   text names the daemon's flag), and std::bad_alloc or std::system_error where memory or a thread
//   cannot be had. status() may throw std::bad_alloc; no other member throws.
// Complexity: entries() and clock() return a reference. status() copies a snapshot under a lock
//   that no operation on entries takes. The threads wake up 30 times a second while memory
//   suffices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "kvcache/eviction_options.hpp"
#include "kvcache/eviction_status.hpp"

namespace kvcache {

struct limited_cache_options {
  // Bytes that the process may have resident; 0: only the limits of cgroups and machine apply.
  std::uint64_t memory_limit_bytes = 0;

  // Entries held at most; 0 means no such limit. See cache_options.
  std::size_t max_entries = 0;

  evictor_options eviction = {};
};

class limited_cache {
public:
  explicit limited_cache(const limited_cache_options& options = {});
  ~limited_cache(); // REQUIRES: no other thread is inside a member or an operation on entries()
  limited_cache(const limited_cache&) = delete;
  limited_cache& operator=(const limited_cache&) = delete;

  // The entries. Do not call its advance_clock(), set_hold_limit_bytes() or maintain(): the threads
  // do.
  cache& entries() noexcept;

  // Turns a time to live into the expiry of a PUT: clock().after(std::chrono::seconds{60}).
  const coarse_clock& clock() const noexcept;

  // The last memory reading, and what eviction decided and did.
  eviction_status status() const;

private:
  class parts;
  const std::unique_ptr<parts> parts_;
};

} // namespace kvcache
