// What a write to the cache comes to, and the condition that it may depend on.
//
// Thread-safety: values. Ownership: a precondition is a reference to a callable of its caller.
#pragma once

#include <cstdint>

#include "kvcache/entry_view.hpp"
#include "kvcache/function_ref.hpp"

namespace kvcache {

enum class put_outcome : std::uint8_t {
  inserted,            // the key was absent
  replaced,            // the key was present, and has the new value
  precondition_failed, // nothing has changed
  no_room,       // the memory limit is reached and eviction freed too little; the old value stays
  out_of_memory, // the kernel refused memory; the old value stays
  too_large      // longer than the store can ever hold (cache::max_item_bytes); the old value stays
};

enum class erase_outcome : std::uint8_t {
  erased,
  absent,
  refused // by the precondition
};

enum class touch_outcome : std::uint8_t {
  touched,
  absent,
  refused,      // by the precondition
  no_room,      // as in put_outcome; the old expiry stays
  out_of_memory // likewise
};

// Whether a write may take place. `present`: the entry of its key, null if there is none, or it has
// expired. Runs under the bucket's lock: it must be short, must not call the cache, block, or log.
// It may run several times; the write takes place atomically with the last.
using precondition = function_ref<bool(const entry_view* present)>;

} // namespace kvcache
