// The body of GET /metrics: Prometheus' text format, version 0.0.4. Pure.
//
// The figures are those of /stats since the start. Prometheus' rate() computes those of the last
// minute, except the longest request, which no histogram contains. Names begin with
// keyvalue_cache_, or with process_ if every Prometheus client exports the same one; units are
// seconds and bytes. Each series exists from the first scrape on, at 0.
#pragma once

#include <string>

#include "report/service_snapshot.hpp"

namespace kvcache::observe {

std::string prometheus_text(const service_snapshot& snapshot);

} // namespace kvcache::observe
