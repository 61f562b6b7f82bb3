// The access log: one line on standard error per recorded request.
//
//   2026-01-31T12:00:00.123Z info  access 127.0.0.1:40000 GET /get 200 181 bytes 12.3 us
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"access","peer":"127.0.0.1:40000",
//    "method":"GET","path":"/get","status":200,"sent_bytes":181,"duration_us":12.3}   (on one line)
//
// An unknown method or path (server/access_log.hpp) is "-" in text and null in JSON. A line
// consists of addresses, numbers and constant names, so it needs no escaping and reveals no key.
//
// Its queue and thread (log_queue.hpp) are separate from those of the log (logging.hpp), so that
// access lines displace no log line. If the queue is full, the oldest lines are dropped.
//
// Thread-safety: write() and dropped_lines() from any thread. REQUIRES: no thread calls write()
// during destruction, which waits a bounded time for queued lines and drops the rest.
#pragma once

#include <spdlog/common.h>

#include <cstddef>
#include <cstdint>

#include "process/log_format.hpp"
#include "process/log_queue.hpp"
#include "server/access_log.hpp"

namespace kvcache::config {

class access_lines final : public http::access_log {
public:
  // Capacity of the queue: about 3 MiB.
  static constexpr std::size_t queue_lines = 8192;

  explicit access_lines(log_format format); // to standard error
  access_lines(log_format format, spdlog::sink_ptr sink);
  ~access_lines() override = default;
  access_lines(const access_lines&) = delete;
  access_lines& operator=(const access_lines&) = delete;

  void write(const http::access_record& record) noexcept override;

  // Lines dropped so far.
  std::uint64_t dropped_lines() const noexcept { return queue_.dropped_lines(); }

private:
  const log_format format_;
  log_queue queue_;
};

} // namespace kvcache::config
