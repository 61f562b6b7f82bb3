// The variables that Kubernetes puts into every pod for each Service of its namespace
// (enableServiceLinks). Those of a Service whose name begins with "kvcache" begin with our prefix.
// Pure.
#pragma once

#include <string_view>

namespace kvcache::config {

// Whether Kubernetes sets such a variable to such a value: KVCACHE_SERVICE_HOST,
// KVCACHE_SERVICE_PORT_HTTP, KVCACHE_PORT_7171_TCP_ADDR, or KVCACHE_PORT and KVCACHE_…_PORT with
// "tcp://10.0.0.7:7171". A KVCACHE_PORT with a number is an option of ours.
bool is_service_link(std::string_view name, std::string_view value);

} // namespace kvcache::config
