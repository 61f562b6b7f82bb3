// A counter is an entry whose value is a number as text: 0, or digits that do not begin with 0,
// perhaps behind a minus sign, within 64 bits with a sign.
//
// Thread-safety: as the cache: increments of one key by any threads add up.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "api/entity_tagger.hpp"
#include "http/fault.hpp"
#include "kvcache/cache.hpp"

namespace kvcache::http {

struct increment {
  std::int64_t by = 1;
  std::optional<std::int64_t> initial{}; // of a key that is absent; nothing: that is a fault
};

struct incremented {
  fault why = fault::none;
  std::int64_t value = 0; // after it
  std::uint64_t tag = 0;  // of the value, if a tagger was given
};

// Adds to the counter. An entry that is there keeps its expiry and its type; a new one is typed as
// /put does, and expires at `expires_at`. `when` is asked only where the increment is possible.
incremented add_to_counter(cache& store, std::string_view key, const increment& what,
                           tick expires_at, precondition when,
                           const entity_tagger* tags = nullptr) noexcept;

// The number that a value is; nothing if it is none.
std::optional<std::int64_t> read_counter(std::string_view value) noexcept;

} // namespace kvcache::http
