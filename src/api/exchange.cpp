#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

constexpr unsigned status_ok = 200;

} // namespace

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
