// A request, its response in progress, and everything that a handler may use.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/api_options.hpp"
#include "api/batch_work.hpp"
#include "api/endpoint_table.hpp"
#include "api/entity_tagger.hpp"
#include "api/large_body.hpp"
#include "api/put_body.hpp"
#include "api/token_authorizer.hpp"
#include "api/unfinished_work.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "metrics/worker_counters.hpp"

namespace kvcache::http {

class body_upload;
class snapshot_maker;

inline constexpr std::uint8_t ok_slot = observe::status_slot(200);
inline constexpr std::uint8_t created_slot = observe::status_slot(201);
inline constexpr std::uint8_t no_content_slot = observe::status_slot(204);
inline constexpr std::uint8_t not_modified_slot = observe::status_slot(304);
inline constexpr std::uint8_t not_found_slot = observe::status_slot(404);

// Writes a page. Called from every worker concurrently; may throw std::bad_alloc only.
using page_source = std::function<std::string()>;

// The services of other layers that endpoints use. The path of an empty page_source does not exist.
struct api_services {
  const token_authorizer* authorization = nullptr; // nullptr: everyone may do everything
  page_source stats;                               // JSON
  page_source metrics;                             // Prometheus text
  snapshot_maker* snapshots = nullptr;             // nullptr: there are none
  // What is left to do before requests find all entries; "" if nothing is. For /readyz.
  std::function<std::string()> unready;
};

// The state that all workers share. The server owns it; it outlives them.
struct shared_state {
  cache& store;
  const coarse_clock& clock;
  const api_options& options;
  const fault_table& faults;
  const endpoint_table& endpoints;
  const api_services& services;
  const std::atomic<bool>& draining;
  entity_tagger tags{};
};

// A worker's state for its handlers, used on its thread only.
struct handler_context {
  handler_context(const shared_state& with, observe::worker_counters& count_in)
      : shared(with),
        counters(count_in),
        writer(with.faults),
        tokens(with.services.authorization) {}

  const shared_state& shared;
  observe::worker_counters& counters;
  response_writer writer;
  token_view tokens;
  body_scratch body;
  std::string query; // scratch of find_key

  // The body of the request, if it has been received straight into the memory of its entry; then
  // asked.body is empty, or a part of it.
  body_upload* upload = nullptr;

  // The body of the response that has just been written: see handled::followed.
  large_body large_value;

  // Of a request that is handled in several turns: what a handler leaves here when it pauses, it
  // finds here in the next turn.
  std::unique_ptr<unfinished_work> work;

  // Whether so much more memory may be held for requests.
  std::function<bool(std::size_t)> may_hold = [](std::size_t) { return true; };

  // Of POST /batch, to be used again.
  batch_work_pool batches;

  // Requests of the current batch that reached the store. Their latency is measured together.
  std::size_t batch_gets = 0;
  std::size_t batch_puts = 0;
  // What else has reached it, which is not timed.
  std::size_t batch_others = 0;
  // The time of the batch on shared.clock, if a request of it has needed it.
  std::optional<std::uint64_t> batch_ns;
};

struct exchange {
  const request& asked;
  reply_options how;
  output_buffer& out;
  handler_context& context;

  // The connection counts and logs these when the response is written. The router sets the route;
  // the writer of a response other than 200 sets its status, as observe::status_slot(), which is
  // computed at compile time for a constant.
  const route* to = &endpoint_table::unread();
  std::uint8_t status_slot = ok_slot;

  // The value of the path's variable, not decoded. REQUIRES: the endpoint's path has one.
  maybe_plain path_variable() const noexcept {
    return {asked.path.substr(to->variable_at), asked.path_is_plain};
  }
};

// The expiry of an entry that is put now; without `ttl`, by the server's default. Reads the clock
// at most once a batch.
tick expiry(const exchange& x, std::optional<std::chrono::seconds> ttl) noexcept;

// The whole seconds that an entry has left, rounded up: at least 1, and no more than the ttl it was
// put with.
std::uint64_t seconds_left(const exchange& x, tick expires_at) noexcept;

// The fault of a put; none if it has stored its value.
fault fault_of(put_outcome outcome) noexcept;

fault fault_of(touch_outcome outcome) noexcept;

// Writes the refusal; the only way to refuse.
handled refuse(exchange& x, const refusal& why, std::string_view extra_fields = {});

// Responds 200 with a text, or with a page; 404 if there is no such page.
handled show(exchange& x, std::string_view content_type, std::string_view body,
             std::string_view cache_fields = no_store_field);
handled show(exchange& x, std::string_view content_type, const page_source& page);

} // namespace kvcache::http
