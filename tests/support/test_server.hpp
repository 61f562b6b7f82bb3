// A complete server (cache, workers, listener) on a free port, in the process of the test.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/endpoint_table.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "metrics/registry.hpp"
#include "server/server.hpp"
#include "support/raw_client.hpp"

namespace kvcache::test {

class test_server {
public:
  explicit test_server(http::server_options options = {}, http::server_services services = {},
                       const http::endpoint_set& endpoints = http::product_endpoints,
                       http::unique_fd passed_socket = http::unique_fd{-1});

  std::uint16_t port() const { return server_.local_endpoint().port(); }
  raw_client connect() const { return raw_client{port()}; }

  http::server& server() { return server_; }
  kvcache::cache& store() { return store_; }

  // Advances the time; the clock of the cache follows when tell_the_time() is called.
  void pass(std::chrono::nanoseconds time) { now_ns_ += static_cast<std::uint64_t>(time.count()); }
  void tell_the_time() { store_.advance_clock(clock_.now()); }
  std::size_t looks_at_the_time() const { return looks_; }

  // The counters of all workers.
  observe::counters_snapshot counted() const { return counters_.totals(); }

  // The number of responses of an operation with this status.
  std::uint64_t responses(std::string_view operation, unsigned status) const;

private:
  static http::server_options on_any_port(http::server_options options);

  std::atomic<std::uint64_t> now_ns_{1'000'000}; // advanced by the test
  std::atomic<std::size_t> looks_{0};
  const coarse_clock clock_{[this] { return ++looks_, now_ns_.load(); }};
  kvcache::cache store_;
  const http::endpoint_table endpoints_;
  observe::registry counters_;
  http::server server_;
};

} // namespace kvcache::test
