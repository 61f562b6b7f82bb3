// The interface of an access log: one record per answered request. A record contains neither a key
// nor a value: it has only the path of the target, and only if an endpoint has it, since any other
// path may contain a key that belongs in the query.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "http/request.hpp"

namespace kvcache::http {

struct access_record {
  std::string_view peer; // "127.0.0.1:40000", "[::1]:40000"; empty if it has disconnected
  method verb = method::other;
  std::string_view path; // an endpoint's, with the name of its variable; empty for any other
  unsigned status = 0;
  std::size_t sent_bytes = 0; // of the response, with its head

  // Of the whole pipeline batch: from its first request to its last response. Not known for a
  // timeout, which answers no complete request, nor for a flush.
  std::optional<std::chrono::nanoseconds> took;
};

class access_log {
public:
  virtual ~access_log() = default;

  // Called from every worker concurrently. Must not block.
  virtual void write(const access_record& record) noexcept = 0;
};

} // namespace kvcache::http
