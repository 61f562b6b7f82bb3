// GET /openapi.json: the API's documentation. The only response that caches may store; they must
// revalidate it each time.
#include "api/exchange.hpp"
#include "http/precondition.hpp"

namespace kvcache::http {

namespace {

handled openapi(exchange& x) {
  const endpoint_set& documented = x.context.shared.endpoints.set();
  std::string fields = "Cache-Control: no-cache\r\nETag: ";
  fields.append(documented.openapi_tag).append("\r\n");
  const entity_tag_list known{x.asked.field_lines, "if-none-match"};
  if (!known.is_present() || !known.is_well_formed() ||
      !known.matches(documented.openapi_tag, entity_tag_list::comparison::weak))
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
