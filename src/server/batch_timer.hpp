// Measures how long the requests of a pipeline batch take, for the latency histograms and the
// access log.
//
// One batch in two is measured with two readings of the clock, so that there is on average at most
// one reading a batch. The choice is random: with every second one, a client that alternates GETs
// and PUTs would have only one kind measured. With an access log every batch is measured, but no
// more of them are counted in the histograms.
//
// Thread-safety: none.
#pragma once

#include <chrono>
#include <cstdint>

#include "api/exchange.hpp"
#include "server/access_recorder.hpp"
#include "server/fair_coin.hpp"

namespace kvcache::http {

class batch_timer {
public:
  // `access`: null without an access log. Both must outlive this object.
  batch_timer(handler_context& handlers, access_recorder* access, std::uint64_t seed) noexcept
      : handlers_(handlers), access_(access), coin_(seed) {}

  void begin() noexcept {
    sampled_ = coin_.toss();
    if (sampled_ || access_ != nullptr) start_ = std::chrono::steady_clock::now();
    if (access_ != nullptr) access_->batch_begin();
  }

  // Records the requests that the handlers have counted since begin().
  void end() noexcept {
    const bool counts = sampled_ && (handlers_.batch_gets != 0 || handlers_.batch_puts != 0);
    if (counts || access_ != nullptr) record(counts);
  }

private:
  void record(bool counts) noexcept {
    const std::chrono::nanoseconds duration = std::chrono::steady_clock::now() - start_;
    if (access_ != nullptr) access_->batch_end(duration);
    if (!counts) return;
    const auto ns = static_cast<std::uint64_t>(duration.count());
    observe::worker_counters& counters = handlers_.counters;
    if (handlers_.batch_gets != 0) counters.get_latency().record_n(ns, handlers_.batch_gets);
    if (handlers_.batch_puts != 0) counters.put_latency().record_n(ns, handlers_.batch_puts);
  }

  handler_context& handlers_;
  access_recorder* const access_;
  fair_coin coin_;
  std::chrono::steady_clock::time_point start_;
  bool sampled_ = false; // the current batch counts in the histograms
};

} // namespace kvcache::http
