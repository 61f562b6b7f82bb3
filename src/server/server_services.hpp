// The services of other layers that the server uses.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

#include "api/exchange.hpp"
#include "server/access_log.hpp"

namespace kvcache::http {

// Work of another layer that the workers take part in on request: one step for each GET and PUT
// that they answer. So clients cannot starve that work of processor time, however many they are.
struct shared_work {
  const std::atomic<bool>* wanted = nullptr; // nullptr: never
  // Called from every worker concurrently. Must be bounded, and neither throw nor block.
  std::function<void(std::size_t steps)> take_part = {};
};

struct server_services : api_services {
  access_log* access = nullptr; // nullptr: none is kept
  shared_work eviction = {};
};

} // namespace kvcache::http
