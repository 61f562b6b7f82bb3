// What the tests of eviction share: keys by number, and a store that repeats.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cache/store.hpp"

namespace kvcache::test {

inline cache_options repeatable_options() {
  cache_options options;
  options.hash_seed = {{3, 4}};
  return options;
}

inline std::string key_of(std::size_t number) { return "key" + std::to_string(number); }

inline bool put_number(store& entries, std::size_t number, std::size_t value_bytes = 20,
                       tick expires_at = never) {
  const auto outcome = entries.put(key_of(number), std::string(value_bytes, 'v'), expires_at);
  return outcome == put_outcome::inserted || outcome == put_outcome::replaced;
}

inline bool access_number(store& entries, std::size_t number) {
  return entries.get(key_of(number), [](std::string_view) {});
}

inline bool holds_number(const store& entries, std::size_t number) {
  return entries.peek(key_of(number), [](std::string_view) {});
}

inline std::uint64_t evictions_of(const store& entries, eviction_cause cause) {
  return entries.stats().evictions[static_cast<std::size_t>(cause)];
}

} // namespace kvcache::test
