// GET /stats: the service's figures as JSON.
#include "api/exchange.hpp"

namespace kvcache::http {

namespace {

handled stats(exchange& x) { return show(x, json_content_type, x.context.shared.services.stats); }

constexpr endpoint endpoints[] = {{.path = "/stats",
                                   .verb = method::get,
                                   .operation = {"stats"},
                                   .needs = permission::read,
                                   .handle = stats}};

} // namespace

extern constinit const endpoint_group stats_endpoints{endpoints};

} // namespace kvcache::http
