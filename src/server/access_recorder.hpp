// One worker's hand in the access log: picks every Nth request, and keeps what there is to tell of
// it until its batch ends, since only then is known how long that took. It reads no clock, and it
// exists only where there is an access log: where there is none, a request costs one look at a null
// pointer.
//
// Thread-safety: none, used by its worker's thread. The log must outlive it.
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
  // Requests of one batch whose duration can be told; those beyond are written without it.
  static constexpr std::size_t records_max = 256;

  // REQUIRES: sample_every > 0.
  access_recorder(access_log& log, unsigned sample_every) noexcept
      : log_(log), sample_every_(sample_every) {}

  // From now on note() keeps what it is told, until batch_end().
  void batch_begin() noexcept { in_batch_ = true; }
  void batch_end(std::chrono::nanoseconds took) noexcept;

  // A request was answered; `path`: its endpoint's, which outlives this. `socket`: asked for the
  // peer's name, if that is not known yet. REQUIRES: `reply` is whole and begins with its status
  // line; a batch is of one socket.
  void note(int socket, method verb, std::string_view path, std::string_view reply) noexcept;

private:
  void find_peer(int socket) noexcept;
  void write_all(std::optional<std::chrono::nanoseconds> took) noexcept;

  access_log& log_;
  const unsigned sample_every_;
  unsigned skip_ = 0; // requests to leave out before the next one is told
  bool in_batch_ = false;
  std::size_t count_ = 0;
  std::array<access_record, records_max> records_;
  std::array<char, 64> peer_{}; // of all that is kept
  std::size_t peer_size_ = 0;
};

} // namespace kvcache::http
