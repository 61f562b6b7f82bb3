// POST /put {"key":"…","value":"…"}
#include "api/exchange.hpp"
#include "api/put_body.hpp"
#include "api/value_format.hpp"

namespace kvcache::http {

namespace {

// A long value is stored with its tag, which /kv/{key} shows.
[[gnu::noinline]] put_outcome put_tagged(const exchange& x, const put_body& body,
                                         tick expires_at) noexcept {
  const shared_state& shared = x.context.shared;
  const value_format format{body.value.size(), text_type, true,
                            shared.tags.tag_of(text_type, body.value)};
  return shared.store.put_if(body.key, {body.value, format.suffix(), format.mark()}, expires_at,
                             [](const entry_view*) { return true; });
}

handled put(exchange& x) {
  handler_context& context = x.context;
  put_body body;
  if (const refusal why =
          parse_put_body(x.asked.body, context.shared.options.limits, context.body, body))
    return refuse(x, why);

  const tick expires_at = expiry(x, body.ttl);
  const put_outcome outcome = body.value.size() <= tagged_above_bytes
                                  ? context.shared.store.put(body.key, body.value, expires_at)
                                  : put_tagged(x, body, expires_at);
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
