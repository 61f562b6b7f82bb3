// A whole server (cache, workers, listener) on a port of its own, inside the test's process.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "metrics/registry.hpp"
#include "server/server.hpp"
#include "support/raw_client.hpp"

namespace kvcache::test {

class test_server {
public:
  explicit test_server(http::server_options options = {}, http::server_services services = {});

  std::uint16_t port() const { return server_.local_endpoint().port(); }
  raw_client connect() const { return raw_client{port()}; }

  http::server& server() { return server_; }
  kvcache::cache& store() { return store_; }

  // Time passes, of which the cache's clock hears nothing until it is told.
  void pass(std::chrono::nanoseconds time) { now_ns_ += static_cast<std::uint64_t>(time.count()); }
  void tell_the_time() { store_.advance_clock(clock_.now()); }
  std::size_t looks_at_the_time() const { return looks_; }

  // What all workers have counted so far.
  observe::counters_snapshot counted() const { return counters_.totals(); }

private:
  static http::server_options on_any_port(http::server_options options);

  std::atomic<std::uint64_t> now_ns_{1'000'000}; // stands still
  std::atomic<std::size_t> looks_{0};
  const coarse_clock clock_{[this] { return ++looks_, now_ns_.load(); }};
  kvcache::cache store_;
  observe::registry counters_;
  http::server server_;
};

} // namespace kvcache::test
