// The body of GET /metrics: Prometheus' text format, version 0.0.4. Pure.
//
// The facts are those of /stats since the start; "over the last minute" is left to Prometheus'
// rate(), but for the longest request, which no histogram can tell. Names begin with
// keyvalue_cache_, or with process_ where every Prometheus client has the same one; units are
// seconds and bytes. Series are never born late: each exists from the
// first scrape on, at 0.
#pragma once

#include <string>

#include "report/service_snapshot.hpp"

namespace kvcache::observe {

std::string prometheus_text(const service_snapshot& snapshot);

} // namespace kvcache::observe
