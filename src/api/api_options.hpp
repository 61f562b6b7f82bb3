// The operator's options of the API: the limits of requests and their permissions.
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

  // Likewise for POST /snapshot.
  bool enable_snapshot = false;

  // Whether GET / gets 404, for browsers and all others.
  bool no_page = false;

  // Host names (without port) that a request may name; empty means any. Protects against DNS
  // rebinding.
  std::vector<std::string> allowed_hosts;
};

} // namespace kvcache::http
