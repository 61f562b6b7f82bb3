// What whoever keeps an access log is told of each request that was answered. Neither a key nor a
// value can be in it: of the target there is the path only, and only where it is one of ours, since
// any other may hold the key that was meant for the query.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "http/request.hpp"

namespace kvcache::http {

struct access_record {
  std::string_view peer; // "127.0.0.1:40000", "[::1]:40000"; empty where it has gone
  method verb = method::other;
  std::string_view path; // an endpoint's, with the name of its variable; empty for any other
  unsigned status = 0;
  std::size_t sent_bytes = 0; // of the reply, its head included

  // From the first of the requests that were received together to the last of their replies; not
  // known of a reply that no request was waiting for (a timeout), nor of a flush.
  std::optional<std::chrono::nanoseconds> took;
};

class access_log {
public:
  virtual ~access_log() = default;

  // Called from every worker at the same time. Must not wait for anything.
  virtual void write(const access_record& record) noexcept = 0;
};

} // namespace kvcache::http
