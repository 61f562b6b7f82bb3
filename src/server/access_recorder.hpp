// Collects a worker's records for the access log: every Nth request, until its batch ends, since
// its duration is known only then. Reads no clock. Without an access log a worker has no recorder,
// and a request costs one null check.
//
// Thread-safety: none; runs on its worker's thread. The log must outlive it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "http/request.hpp"
#include "server/access_log.hpp"

namespace kvcache::http {

class access_recorder {
public:
  // Requests of one batch that are recorded with their duration; further ones are written without.
  static constexpr std::size_t records_max = 256;

  // REQUIRES: sample_every > 0.
  access_recorder(access_log& log, unsigned sample_every) noexcept
      : log_(log), sample_every_(sample_every) {}

  // From now on note() keeps its records until batch_end().
  void batch_begin() noexcept { in_batch_ = true; }
  void batch_end(std::chrono::nanoseconds took) noexcept;

  // Records an answered request. `path`: its endpoint's, which outlives this object. `socket`: of
  // the peer, whose address is read once a batch. REQUIRES: `reply` is whole and begins with its
  // status line; a batch belongs to one socket.
  // `more_bytes`: of the response, behind `reply`.
  void note(int socket, method verb, std::string_view path, std::string_view reply,
            std::size_t more_bytes = 0) noexcept;

private:
  void find_peer(int socket) noexcept;
  void write_all(std::optional<std::chrono::nanoseconds> took) noexcept;

  access_log& log_;
  const unsigned sample_every_;
  unsigned skip_ = 0; // requests to leave out before the next one is recorded
  bool in_batch_ = false;
  std::size_t count_ = 0;
  std::array<access_record, records_max> records_;
  std::array<char, 64> peer_{}; // of all kept records
  std::size_t peer_size_ = 0;
};

} // namespace kvcache::http
