// The protocols that are compared: this daemon's HTTP API, Redis' RESP, memcached's text, and
// webdis' HTTP form of Redis' commands. Stateless: each function writes one request or reads one
// reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "workload.hpp"

namespace kvcache::bench {

enum class protocol : std::uint8_t { http, redis, memcached, webdis };

enum class reply_kind : std::uint8_t {
  ok,
  miss,
  refused, // no room: 503, OOM
  error
};

struct reply {
  std::size_t bytes = 0; // 0: not complete yet
  reply_kind kind = reply_kind::error;
  std::string_view body; // the HTTP body, or the value
};

void append_request(protocol spoken, std::string& out, operation what, std::string_view key,
                    std::string_view value);

// Reads the reply at the front of `input`; the views point into it.
reply read_reply(protocol spoken, std::string_view input, operation what);

// Whether a hit's body is what was stored.
bool holds_value(protocol spoken, std::string_view body, std::string_view value);

} // namespace kvcache::bench
