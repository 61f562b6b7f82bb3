// GET /readyz: whether this server accepts new requests.
#include <string>

#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

handled readyz(exchange& x) {
  if (x.context.shared.draining.load(std::memory_order_relaxed))
    return refuse(x, {fault::not_ready});
  if (const auto& unready = x.context.shared.services.unready) {
    if (const std::string what = unready(); !what.empty())
      return refuse(x, {.code = fault::still_loading, .name = what});
  }
  return show(x, json_content_type, R"({"status":"OK","message":"Ready."})");
}

constexpr endpoint endpoints[] = {{.path = "/readyz",
                                   .verb = method::get,
                                   .operation = {"readyz"},
                                   .served_when_full = true,
                                   .handle = readyz}};

} // namespace

extern constinit const endpoint_group readyz_endpoints{endpoints};

} // namespace kvcache::http
