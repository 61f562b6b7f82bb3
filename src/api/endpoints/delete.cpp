// POST /delete {"key":"…"}
#include "api/exchange.hpp"
#include "api/put_body.hpp"

namespace kvcache::http {

namespace {

handled erase(exchange& x) {
  handler_context& context = x.context;
  std::string_view key;
  if (const refusal why =
          parse_delete_body(x.asked.body, context.shared.options.limits, context.body, key))
    return refuse(x, why);

  if (context.shared.store.erase(key)) {
    context.writer.copy(x.out, prepared::deleted, x.how);
  } else {
    context.writer.copy(x.out, prepared::not_found, x.how);
    x.status_slot = not_found_slot;
  }
  return handled::go_on;
}

constexpr endpoint endpoints[] = {{.path = "/delete",
                                   .verb = method::post,
                                   .operation = {"delete", observe::store_access::erase},
                                   .needs = permission::write,
                                   .body = body_use::required,
                                   .handle = erase}};

} // namespace

extern constinit const endpoint_group delete_endpoints{endpoints};

} // namespace kvcache::http
