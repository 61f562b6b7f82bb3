// GET /metrics: the service's figures for Prometheus.
#include "api/exchange.hpp"
#include "metrics/metrics_writer.hpp"

namespace kvcache::http {

namespace {

handled metrics(exchange& x) {
  return show(x, observe::prometheus_content_type, x.context.shared.services.metrics);
}

constexpr endpoint endpoints[] = {{.path = "/metrics",
                                   .verb = method::get,
                                   .operation = {"metrics"},
                                   .needs = permission::read,
                                   .served_when_full = true,
                                   .handle = metrics}};

} // namespace

extern constinit const endpoint_group metrics_endpoints{endpoints};

} // namespace kvcache::http
