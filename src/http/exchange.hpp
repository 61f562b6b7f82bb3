// One request on its way to its reply, and what a handler may use to make it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "http/access_log.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/put_body.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/server_options.hpp"
#include "http/token_authorizer.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "observe/worker_counters.hpp"

namespace kvcache::http {

inline constexpr std::uint8_t ok_slot = observe::status_slot(200);
inline constexpr std::uint8_t no_content_slot = observe::status_slot(204);
inline constexpr std::uint8_t not_modified_slot = observe::status_slot(304);
inline constexpr std::uint8_t not_found_slot = observe::status_slot(404);

// A page made by somebody who knows no HTTP. Called from every worker at the same time; it may
// throw std::bad_alloc only.
using page_source = std::function<std::string()>;

// Work of others that the workers take part in while it is wanted. A step for each GET and PUT that
// was answered: then clients cannot keep the processors from that work, however many they are.
struct shared_work {
  const std::atomic<bool>* wanted = nullptr; // nullptr: never
  // Called from every worker at the same time; must be bounded, and neither throw nor wait.
  std::function<void(std::size_t steps)> take_part = {};
};

// What the server needs of others beside the cache. An empty page_source is a path that is not
// there.
struct server_services {
  const token_authorizer* authorization = nullptr; // nullptr: everybody may do everything
  access_log* access = nullptr;                    // nullptr: none is kept
  page_source stats;                               // JSON
  page_source metrics;                             // Prometheus text
  page_source openapi;                             // JSON, always the same
  std::string_view openapi_tag = {};               // its entity tag, with the quotes; "": none
  shared_work eviction = {};
};

// What all workers share. Owned by the server; outlives them.
struct shared_state {
  cache& store;
  const coarse_clock& clock;
  const server_options& options;
  const fault_table& faults;
  const server_services& services;
  const std::atomic<bool>& draining;
};

// One per worker, used by its thread only.
struct handler_context {
  handler_context(const shared_state& with, observe::worker_counters& count_in)
      : shared(with),
        counters(count_in),
        writer(with.faults),
        tokens(with.services.authorization) {}

  const shared_state& shared;
  observe::worker_counters& counters;
  reply_writer writer;
  token_view tokens;
  body_scratch body;
  std::string query; // scratch of find_key

  // Requests of the batch under way that reached the store; their latency is taken for all of them.
  std::size_t batch_gets = 0;
  std::size_t batch_puts = 0;
  // The time of the batch on shared.clock, once a request of it has asked for it.
  std::optional<std::uint64_t> batch_ns;
};

// What the connection does after a handler.
enum class handled : std::uint8_t {
  go_on,    // the reply is written; the next request may follow
  close,    // the reply is written and is the last one
  flushing, // no reply yet: the cache is to be flushed in the background
  held_back // no reply yet: there is no room for it; the request has to be handled once more
};

struct exchange {
  const request& asked;
  reply_options how;
  output_buffer& out;
  handler_context& context;

  // What the connection counts once the response is written. The router sets the operation; who
  // writes a response other than 200 sets its status, as observe::status_slot(): the constant ones
  // cost nothing that way.
  observe::operation operation = observe::operation::none;
  std::uint8_t status_slot = ok_slot;
};

// Writes the refusal; the only way to refuse.
handled refuse(exchange& x, const refusal& why, std::string_view extra_fields = {});

} // namespace kvcache::http
