// GET /openapi.json: the API's documentation. The one response that caches may keep, as long as
// they ask each time whether it is still the same.
#include "api/exchange.hpp"
#include "http/entity_tag.hpp"

namespace kvcache::http {

namespace {

handled openapi(exchange& x) {
  const endpoint_set& documented = x.context.shared.endpoints.set();
  std::string fields = "Cache-Control: no-cache\r\nETag: ";
  fields.append(documented.openapi_tag).append("\r\n");
  if (!names_entity_tag(x.asked[known_field::if_none_match], documented.openapi_tag))
    return show(x, json_content_type, documented.openapi, fields);
  x.context.writer.head_only(x.out, 304, x.how, fields);
  x.status_slot = not_modified_slot;
  return handled::go_on;
}

constexpr endpoint endpoints[] = {
    {.path = "/openapi.json", .verb = method::get, .operation = {"openapi"}, .handle = openapi}};

} // namespace

extern constinit const endpoint_group openapi_endpoints{endpoints};

} // namespace kvcache::http
