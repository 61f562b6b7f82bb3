// What an operator can set about the API: what requests may be, and what they may do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/http_limits.hpp"

namespace kvcache::http {

struct api_options {
  http_limits limits;

  // Expiry of entries put without a "ttl", in seconds; 0 means they do not expire.
  std::uint32_t default_ttl_s = 0;

  // Whether POST /flush is allowed to anyone who may write. A read-write token always may.
  bool enable_flush = false;

  // Host names (without port) that a request may be addressed to; empty means any. Against DNS
  // rebinding.
  std::vector<std::string> allowed_hosts;
};

} // namespace kvcache::http
