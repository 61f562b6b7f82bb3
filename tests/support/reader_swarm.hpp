// Many clients in one thread, which read their responses: each sends its requests without waiting
// and counts complete responses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kvcache::test {

// The requests of one client, and the body length of each response if it is a 200.
struct reader_plan {
  std::string requests;
  std::vector<std::size_t> body_bytes;
  bool pipelines = true; // false: a request is sent after the previous response
  std::vector<std::size_t> request_bytes = {}; // of each, if they are sent one by one
};

struct swarm_result {
  std::uint64_t ok = 0;          // complete responses 200 of the expected length
  std::uint64_t unavailable = 0; // complete responses 503 with Retry-After
  std::uint64_t missed = 0;      // complete responses 404
  std::uint64_t wrong = 0;       // any other response
  std::uint64_t cut = 0;         // connections closed before their last response
};

// Runs until each client has all its responses or was disconnected.
// Errors: throws std::runtime_error if no byte arrives for the patience of a client.
swarm_result run_readers(std::uint16_t port, const std::vector<reader_plan>& plans);

} // namespace kvcache::test
