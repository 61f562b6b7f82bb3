// Gives the layers above the cache its store, which the public header does not show. A library user
// has no access to it.
#pragma once

#include "kvcache/cache.hpp"

namespace kvcache {

class store;

class cache_internals {
public:
  static store& store_of(cache& of) noexcept { return *of.store_; }
};

} // namespace kvcache
