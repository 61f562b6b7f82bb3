// GET /healthz: whether the process serves requests.
#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

handled healthz(exchange& x) {
  return show(x, json_content_type, R"({"status":"OK","message":"Alive."})");
}

constexpr endpoint endpoints[] = {{.path = "/healthz",
                                   .verb = method::get,
                                   .operation = {"healthz"},
                                   .served_when_full = true,
                                   .handle = healthz}};

} // namespace

extern constinit const endpoint_group healthz_endpoints{endpoints};

} // namespace kvcache::http
