// Requests that apply one operation to many keys: this daemon's POST /batch, Redis' MGET and MSET,
// memcached's multi-get and its meta command `ms`, pipelined in quiet mode (its fastest way to
// write) and ended by `mn`. Each is one request here, also the pipelined one.
//
// Thread-safety: stateless functions. Errors: none; what a server should not answer is counted in
// the reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol.hpp"
#include "workload.hpp"

namespace kvcache::bench {

// The counts are of keys; the first four add up to the keys of the request.
struct batch_reply {
  std::size_t bytes = 0; // 0: not complete yet
  std::uint64_t ok = 0;
  std::uint64_t misses = 0;
  std::uint64_t refused = 0; // no room: 503, OOM
  std::uint64_t errors = 0;  // also results that are absent, or are not of this operation
  std::uint64_t wrong_values = 0;
};

// Appends one request. REQUIRES: a get or a put, and a key.
void append_batch(protocol spoken, std::string& out, operation what, const workload& work,
                  std::span<const std::uint64_t> keys);

// Reads the reply at the front of `input`. Every result is parsed. The values (and keys, where the
// reply has them) of hits are compared with those of the workload: all if `verify` is set, else
// that of the last key of the request.
batch_reply read_batch(protocol spoken, std::string_view input, operation what,
                       const workload& work, std::span<const std::uint64_t> keys, bool verify);

} // namespace kvcache::bench
