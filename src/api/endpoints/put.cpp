// POST /put {"key":"…","value":"…"}
#include <chrono>
#include <optional>

#include "api/exchange.hpp"
#include "api/put_body.hpp"

namespace kvcache::http {

namespace {

// The expiry of an entry that is put now. Counted from the time of its batch and not from the
// store's tick, which may be late. The first request of a batch that needs the time reads the
// clock.
tick expiry(const exchange& x, std::optional<std::chrono::seconds> ttl) noexcept {
  handler_context& context = x.context;
  const std::chrono::seconds time =
      ttl.value_or(std::chrono::seconds{context.shared.options.default_ttl_s});
  if (time.count() == 0) return never;
  const coarse_clock& clock = context.shared.clock;
  if (!context.batch_ns) context.batch_ns = clock.passed_ns();
  return clock.after(time, *context.batch_ns);
}

fault fault_of(put_outcome outcome) noexcept {
  switch (outcome) {
  case put_outcome::inserted:
  case put_outcome::replaced:
    return fault::none;
  case put_outcome::precondition_failed:
    return fault::precondition_failed;
  case put_outcome::no_room:
    return fault::no_room;
  case put_outcome::out_of_memory:
    return fault::out_of_memory;
  case put_outcome::too_large:
    return fault::entry_too_large;
  }
  return fault::internal_error;
}

handled put(exchange& x) {
  handler_context& context = x.context;
  put_body body;
  if (const refusal why =
          parse_put_body(x.asked.body, context.shared.options.limits, context.body, body))
    return refuse(x, why);

  const put_outcome outcome = context.shared.store.put(body.key, body.value, expiry(x, body.ttl));
  ++context.batch_puts;
  if (const fault why = fault_of(outcome); why != fault::none) {
    context.counters.add(observe::event_of(outcome));
    return refuse(x, {why});
  }
  if (outcome == put_outcome::replaced) x.status_slot = observe::replaced_slot;
  context.writer.copy(x.out, prepared::stored, x.how);
  return handled::go_on;
}

constexpr endpoint endpoints[] = {{.path = "/put",
                                   .verb = method::post,
                                   .operation = {"put", observe::store_access::put},
                                   .needs = permission::write,
                                   .body = body_use::required,
                                   .handle = put}};

} // namespace

extern constinit const endpoint_group put_endpoints{endpoints};

} // namespace kvcache::http
