#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

constexpr unsigned status_ok = 200;

} // namespace

// Counted from the time of the batch and not from the store's tick, which may be late.
tick expiry(const exchange& x, std::optional<std::chrono::seconds> ttl) noexcept {
  const std::chrono::seconds time =
      ttl.value_or(std::chrono::seconds{x.context.shared.options.default_ttl_s});
  if (time.count() == 0) return never;
  handler_context& context = x.context;
  const coarse_clock& clock = context.shared.clock;
  if (!context.batch_ns) context.batch_ns = clock.passed_ns();
  return clock.after(time, *context.batch_ns);
}

// expiry() has rounded up to a tick, by which the entry may live longer than it was asked to. The
// clock is read after the entry: another worker may have put it since this batch began.
std::uint64_t seconds_left(const exchange& x, tick expires_at) noexcept {
  constexpr std::uint64_t ns_per_s = 1'000'000'000;
  constexpr std::uint64_t ns_per_tick = ns_per_s / ticks_per_second;
  const std::uint64_t end_ns = (std::uint64_t{expires_at} - 1) * ns_per_tick;
  const std::uint64_t now_ns = x.context.shared.clock.passed_ns();
  return end_ns <= now_ns ? 1 : (end_ns - now_ns + ns_per_s - 1) / ns_per_s;
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

fault fault_of(touch_outcome outcome) noexcept {
  switch (outcome) {
  case touch_outcome::touched:
    return fault::none;
  case touch_outcome::absent:
    return fault::key_not_found;
  case touch_outcome::refused:
    return fault::precondition_failed;
  case touch_outcome::no_room:
    return fault::no_room;
  case touch_outcome::out_of_memory:
    return fault::out_of_memory;
  }
  return fault::internal_error;
}

handled refuse(exchange& x, const refusal& why, std::string_view extra_fields) {
  const fault_reply& reply = x.context.shared.faults[why.code];
  x.context.writer.refuse(x.out, why, x.how, extra_fields);
  x.status_slot = static_cast<std::uint8_t>(observe::status_slot(reply.status));
  return reply.then == after_reply::close ? handled::close : handled::go_on;
}

handled show(exchange& x, std::string_view content_type, std::string_view body,
             std::string_view cache_fields) {
  x.context.writer.reply(x.out, status_ok, content_type, body, x.how, cache_fields);
  return handled::go_on;
}

handled show(exchange& x, std::string_view content_type, const page_source& page) {
  if (!page) return refuse(x, {fault::unknown_path});
  return show(x, content_type, page());
}

} // namespace kvcache::http
