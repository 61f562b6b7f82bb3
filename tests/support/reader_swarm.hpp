// Many clients at once that read what they ask for, in one thread: each sends its requests without
// waiting and counts the responses, whole ones only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kvcache::test {

// What one client asks, and how many bytes the body of each response has if it is a 200.
struct reader_plan {
  std::string requests;
  std::vector<std::size_t> body_bytes;
  bool pipelines = true; // false: a request is sent when the one before has been answered
  std::vector<std::size_t> request_bytes = {}; // of each, where they are sent one by one
};

struct swarm_result {
  std::uint64_t ok = 0;          // whole responses 200 of the expected length
  std::uint64_t unavailable = 0; // whole responses 503 with Retry-After
  std::uint64_t missed = 0;      // whole responses 404
  std::uint64_t wrong = 0;       // any other response
  std::uint64_t cut = 0;         // connections that ended before their last response
};

// Runs until each client has all its responses or has been cut. Throws std::runtime_error when
// nothing comes for the patience of a client.
swarm_result run_readers(std::uint16_t port, const std::vector<reader_plan>& plans);

} // namespace kvcache::test
