#include "api/handlers.hpp"

#include <chrono>
#include <optional>
#include <string>

#include "http/entity_tag.hpp"
#include "http/target.hpp"
#include "metrics/metrics_writer.hpp"

namespace kvcache::http {

handled refuse(exchange& x, const refusal& why, std::string_view extra_fields) {
  const fault_reply& reply = x.context.shared.faults[why.code];
  x.context.writer.refuse(x.out, why, x.how, extra_fields);
  x.status_slot = static_cast<std::uint8_t>(observe::status_slot(reply.status));
  return reply.then == after_reply::close ? handled::close : handled::go_on;
}

namespace handlers {

namespace {

constexpr unsigned status_ok = 200;

// When an entry put now expires. Counted from when its batch was received and not from the store's
// tick, which may be late: the first one in a batch to ask for an expiry has the clock read.
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
  case put_outcome::exists:
  case put_outcome::mismatch:
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

handled show(exchange& x, std::string_view content_type, std::string_view body,
             std::string_view cache_fields = no_store_field) {
  x.context.writer.reply(x.out, status_ok, content_type, body, x.how, cache_fields);
  return handled::go_on;
}

handled show(exchange& x, std::string_view content_type, const page_source& page) {
  if (!page) return refuse(x, {fault::unknown_path});
  return show(x, content_type, page());
}

} // namespace

handled get(exchange& x) {
  handler_context& context = x.context;
  cache& store = context.shared.store;
  std::string_view key;
  if (const refusal why =
          find_key(x.asked.query, context.shared.options.limits, context.query, key))
    return refuse(x, why);

  get_reply reply{context.writer, x.out, {key, x.asked.query.is_plain}, x.how};
  bool found = false;
  do {
    found = store.get(key, [&reply](std::string_view value) { reply.value(value); });
  } while (found && reply.make_room());
  if (!found) {
    reply.miss();
    x.status_slot = not_found_slot;
  }

  ++context.batch_gets;
  return handled::go_on;
}

handled put(exchange& x) {
  handler_context& context = x.context;
  if (x.asked.framing == body_framing::none) return refuse(x, {fault::length_required});
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
  context.writer.stored(x.out, x.how);
  return handled::go_on;
}

handled erase(exchange& x) {
  handler_context& context = x.context;
  if (x.asked.framing == body_framing::none) return refuse(x, {fault::length_required});
  std::string_view key;
  if (const refusal why =
          parse_delete_body(x.asked.body, context.shared.options.limits, context.body, key))
    return refuse(x, why);

  if (context.shared.store.erase(key)) {
    context.writer.deleted(x.out, x.how);
  } else {
    context.writer.not_found(x.out, x.how);
    x.status_slot = not_found_slot;
  }
  return handled::go_on;
}

handled flush(exchange&) { return handled::flushing; }

// With tokens, the router has already seen to it that this one may write.
fault flush_closed(const shared_state& shared) noexcept {
  const bool open = shared.options.enable_flush || shared.services.authorization != nullptr;
  return open ? fault::none : fault::flush_disabled;
}

void flushed(output_buffer& out, handler_context& context, std::size_t entries, reply_options how) {
  context.writer.reply(out, status_ok, json_content_type,
                       R"({"status":"OK","message":"Cache flushed.","entries":)" +
                           std::to_string(entries) + "}",
                       how);
}

handled healthz(exchange& x) {
  return show(x, json_content_type, R"({"status":"OK","message":"Alive."})");
}

handled readyz(exchange& x) {
  if (x.context.shared.draining.load(std::memory_order_relaxed))
    return refuse(x, {fault::not_ready});
  return show(x, json_content_type, R"({"status":"OK","message":"Ready."})");
}

handled stats(exchange& x) { return show(x, json_content_type, x.context.shared.services.stats); }

handled metrics(exchange& x) {
  return show(x, observe::prometheus_content_type, x.context.shared.services.metrics);
}

// The one answer that caches may keep, as long as they ask each time whether it is still the same.
handled openapi(exchange& x) {
  const api_services& services = x.context.shared.services;
  if (!services.openapi || services.openapi_tag.empty())
    return show(x, json_content_type, services.openapi);
  std::string fields = "Cache-Control: no-cache\r\nETag: ";
  fields.append(services.openapi_tag).append("\r\n");
  if (!names_entity_tag(x.asked.if_none_match, services.openapi_tag))
    return show(x, json_content_type, services.openapi(), fields);
  x.context.writer.not_modified(x.out, x.how, fields);
  x.status_slot = not_modified_slot;
  return handled::go_on;
}

} // namespace handlers

} // namespace kvcache::http
