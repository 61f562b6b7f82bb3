// The variables that Kubernetes sets in every pod for each Service of its namespace
// (enableServiceLinks). Those of a Service whose name begins with "kvcache" have the prefix of this
// program's options. Pure.
#pragma once

#include <string_view>

namespace kvcache::config {

// Whether Kubernetes sets such a variable to such a value: KVCACHE_SERVICE_HOST,
// KVCACHE_SERVICE_PORT_HTTP, KVCACHE_PORT_7171_TCP_ADDR, or KVCACHE_PORT and KVCACHE_…_PORT with
// "tcp://10.0.0.7:7171". A KVCACHE_PORT with a number is the option.
bool is_service_link(std::string_view name, std::string_view value);

} // namespace kvcache::config
