// When entries are evicted, and how much. The daemon's flags map onto these (src/config).
//
// Thread-safety: plain values. Ownership: none.
// Errors: a value outside its range is reported by the constructor of whatever takes the options.
#pragma once

namespace kvcache {

struct pressure_options {
  // Percent of the limit above which entries begin to be evicted. Higher holds more and leaves less
  // time to react to the growth of other processes.
  unsigned pressure_percent = 70;
  // Percent of the limit at which entries are evicted at once. Higher brings the kernel's OOM
  // killer nearer.
  unsigned emergency_percent = 95;
  // Percent of the limit that content may always have, whatever other processes use. Higher keeps
  // more of the cache where they crowd it, and leaves them less.
  unsigned floor_percent = 5;
};

inline constexpr unsigned eviction_interval_least_ms = 10;
// A lowered limit must be noticed within a second.
inline constexpr unsigned eviction_interval_most_ms = 1000;

struct evictor_options {
  pressure_options pressure;

  // Time between two runs. Shorter reacts sooner and costs a few reads of /proc and /sys each time;
  // longer leaves more to the hold limit, at which PUTs evict what they need.
  unsigned interval_ms = 100;

  // Threads that PUT: each may evict at the same time.
  unsigned threads = 2;
};

} // namespace kvcache
