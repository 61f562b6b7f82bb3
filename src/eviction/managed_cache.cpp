#include "eviction/managed_cache.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "cache/addressing.hpp"
#include "cache/cache_internals.hpp"
#include "cache/store.hpp"

namespace kvcache {

namespace {

// The most that the cache's clock is late: half a tick, so that an entry outlives its time to live
// by 0.15 s at most.
constexpr std::chrono::milliseconds clock_lateness{50};

// What is addressed is decided by the lowest limit at the start. If it is raised beyond what can be
// addressed, that becomes a limit.
cache_options cache_options_of(const limited_cache_options& options) {
  cache_options made;
  memory_monitor monitor{managed_cache::monitor_options(options)};
  made.largest_limit_bytes =
      std::ranges::min_element(monitor.read(0).levels, {}, &memory_reading::limit_bytes)
          ->limit_bytes;
  made.max_entries = options.max_entries;
  made.stripes = options.eviction.threads;
  return made;
}

memory_monitor_options with_addresses_of(cache& addressed, memory_monitor_options made) {
  made.addressable_bytes = cache_internals::store_of(addressed).addressable_limit_bytes();
  return made;
}

} // namespace

managed_cache::managed_cache(const limited_cache_options& options, managed_cache_hooks hooks)
    : interval_ms_(options.eviction.interval_ms),
      cache_(cache_options_of(options)),
      monitor_(with_addresses_of(cache_, monitor_options(options))),
      clock_thread_([this] { cache_.advance_clock(clock_.now()); }, {.interval = clock_lateness}),
      evictor_(cache_internals::store_of(cache_), options.eviction,
               make_surroundings(std::move(hooks))) {}

memory_monitor_options managed_cache::monitor_options(const limited_cache_options& options) {
  memory_monitor_options made;
  made.memory_limit_bytes = options.memory_limit_bytes;
  made.addressable_bytes = most_limit_bytes;
  return made;
}

managed_cache::~managed_cache() { stop(); }

evictor_surroundings managed_cache::make_surroundings(managed_cache_hooks hooks) {
  evictor_surroundings made = system_surroundings(monitor_);
  made.buffer_bytes = std::move(hooks.buffer_bytes);
  made.on_reading = std::move(hooks.on_reading);
  made.wake = [this] { eviction_thread_->poke(); }; // only a PUT does, and none precedes start()
  return made;
}

void managed_cache::start() {
  evictor_.run(); // sets the store's limit before the first PUT
  eviction_thread_ = std::make_unique<periodic_worker>(
      [this] { evictor_.run(); },
      periodic_worker::timing{.interval = std::chrono::milliseconds{interval_ms_}});
  cache_internals::store_of(cache_).set_room_maker(&evictor_);
}

void managed_cache::stop() noexcept {
  cache_internals::store_of(cache_).set_room_maker(nullptr);
  eviction_thread_.reset();
}

std::uint64_t managed_cache::runs() const noexcept { return eviction_thread_->runs(); }

} // namespace kvcache
