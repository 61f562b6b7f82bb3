// What the server needs of others beside the cache.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

#include "api/exchange.hpp"
#include "server/access_log.hpp"

namespace kvcache::http {

// Work of others that the workers take part in while it is wanted. A step for each GET and PUT that
// was answered: then clients cannot keep the processors from that work, however many they are.
struct shared_work {
  const std::atomic<bool>* wanted = nullptr; // nullptr: never
  // Called from every worker at the same time; must be bounded, and neither throw nor wait.
  std::function<void(std::size_t steps)> take_part = {};
};

struct server_services : api_services {
  access_log* access = nullptr; // nullptr: none is kept
  shared_work eviction = {};
};

} // namespace kvcache::http
