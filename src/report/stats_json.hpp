// The body of GET /stats. Pure.
//
// Units are part of the names (_bytes, _s, _us, _percent). Counters appear twice in the same shape:
// "since_start" and "last_minute". Members may be added later; none will change its meaning.
#pragma once

#include <string>

#include "report/service_snapshot.hpp"

namespace kvcache::observe {

std::string stats_json(const service_snapshot& snapshot);

} // namespace kvcache::observe
