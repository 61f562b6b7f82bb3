// POST /flush: empties the cache, on a background thread.
#include <string>

#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

handled flush(exchange&) { return handled::deferred; }

deferred_work::result empty_the_cache(const shared_state& shared) noexcept {
  return {.entries = shared.store.clear()};
}

unsigned respond(output_buffer& out, handler_context& context, const deferred_work::result& done,
                 reply_options how) {
  constexpr unsigned status_ok = 200;
  context.writer.reply(out, status_ok, json_content_type,
                       R"({"status":"OK","message":"Cache flushed.","entries":)" +
                           std::to_string(done.entries) + "}",
                       how);
  return status_ok;
}

// With tokens, the router has checked that this one may write.
fault closed(const shared_state& shared) noexcept {
  const bool open = shared.options.enable_flush || shared.services.authorization != nullptr;
  return open ? fault::none : fault::flush_disabled;
}

constexpr endpoint endpoints[] = {{.path = "/flush",
                                   .verb = method::post,
                                   .operation = {"flush", observe::store_access::flush},
                                   .needs = permission::write,
                                   .body = body_use::optional,
                                   .handle = flush,
                                   .closed = closed,
                                   .later = {empty_the_cache, respond}}};

} // namespace

extern constinit const endpoint_group flush_endpoints{endpoints};

} // namespace kvcache::http
