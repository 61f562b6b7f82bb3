// GET /: a page for browsers that shows the cache at work, and the list of endpoints for all
// others. Open to everyone: what the page shows comes from /stats, which may need a token.
#include <string>

#include "api/exchange.hpp"
#include "http/negotiation.hpp"
#include "http/precondition.hpp"
#include "page/live_page.hpp"

namespace kvcache::http {

namespace {

constexpr std::string_view html_content_type = "text/html; charset=utf-8";

std::string cache_fields(std::string_view tag) {
  return std::string{"Cache-Control: no-cache\r\nVary: Accept, Accept-Encoding\r\nETag: "}
      .append(tag)
      .append("\r\n");
}

bool is_known(const exchange& x, std::string_view tag) {
  const entity_tag_list known{x.asked.field_lines, "if-none-match"};
  return known.is_present() && known.is_well_formed() &&
         known.matches(tag, entity_tag_list::comparison::weak);
}

handled show_unless_known(exchange& x, std::string_view content_type, std::string_view body,
                          std::string_view tag, std::string_view more_fields) {
  std::string fields = cache_fields(tag);
  if (!is_known(x, tag)) return show(x, content_type, body, fields.append(more_fields));
  x.context.writer.head_only(x.out, 304, x.how, fields);
  x.status_slot = not_modified_slot;
  return handled::go_on;
}

handled show_page(exchange& x) {
  const page::live_page& document = page::document;
  std::string fields = "Content-Security-Policy: ";
  fields.append(document.policy).append("\r\nReferrer-Policy: no-referrer\r\n");
  if (!prefers_gzip(x.asked.field_lines))
    return show_unless_known(x, html_content_type, document.html, document.html_tag, fields);
  fields.append("Content-Encoding: gzip\r\n");
  return show_unless_known(x, html_content_type, document.gzip, document.gzip_tag, fields);
}

// Paths and operations need no escapes.
std::string list_of(const endpoint_table& endpoints) {
  std::string list = R"({"status":"OK","message":"The endpoints of keyvalue-cache. )"
                     R"(GET /openapi.json describes them.","endpoints":[)";
  for (const route& each : endpoints.routes())
    list.append(&each == endpoints.routes().data() ? "" : ",")
        .append(R"({"method":")")
        .append(name_of(each.to->verb))
        .append(R"(","path":")")
        .append(each.path)
        .append("\"}");
  return list.append("]}");
}

// Changes with the document that describes the endpoints.
std::string tag_of_list(const endpoint_table& endpoints) {
  std::string tag{endpoints.set().openapi_tag};
  return tag.insert(tag.size() - 1, "-list");
}

handled show_root(exchange& x) {
  if (prefers_html(x.asked.field_lines)) return show_page(x);
  const endpoint_table& endpoints = x.context.shared.endpoints;
  return show_unless_known(x, json_content_type, list_of(endpoints), tag_of_list(endpoints), {});
}

fault closed(const shared_state& shared) noexcept {
  return shared.options.no_page ? fault::unknown_path : fault::none;
}

constexpr endpoint endpoints[] = {{.path = "/",
                                   .verb = method::get,
                                   .operation = {"page"},
                                   .handle = show_root,
                                   .closed = closed}};

} // namespace

extern constinit const endpoint_group page_endpoints{endpoints};

} // namespace kvcache::http
