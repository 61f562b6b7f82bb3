// GET /get?key=…
#include "api/exchange.hpp"
#include "http/target.hpp"
#include "http/value_response.hpp"

namespace kvcache::http {

namespace {

handled get(exchange& x) {
  handler_context& context = x.context;
  cache& store = context.shared.store;
  std::string_view key;
  if (const refusal why =
          find_key(x.asked.query, context.shared.options.limits, context.query, key))
    return refuse(x, why);

  value_response response{context.writer, x.out, json_envelope{{key, x.asked.query.is_plain}},
                          x.how};
  bool found = false;
  do {
    found = store.get(key, [&response](std::string_view value) { response.value(value); });
  } while (found && response.reserve_more());
  if (!found) {
    context.writer.copy(x.out, prepared::not_found, x.how);
    x.status_slot = not_found_slot;
  }

  ++context.batch_gets;
  return handled::go_on;
}

constexpr endpoint endpoints[] = {{.path = "/get",
                                   .verb = method::get,
                                   .operation = {"get", observe::store_access::get},
                                   .needs = permission::read,
                                   .handle = get}};

} // namespace

extern constinit const endpoint_group get_endpoints{endpoints};

} // namespace kvcache::http
