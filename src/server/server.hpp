// An HTTP server for a cache: workers, a listener, and their life from start to drain.
//
//   server s{options, cache, clock, services, counters}; // binds; throws if the port is in use
//   s.start();
//   …                                           // SIGTERM: s.begin_drain(); a second one:
//   s.stop(); s.wait();
//
// Threads: begin_drain() and stop() may be called from any thread, any number of times, and only
// start what they say. wait() returns when all workers have ended. The destructor stops and waits.
// Ownership: the endpoints, the cache, its clock, the counters and what the services refer to must
// outlive the server. The owner advances the cache's clock.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "api/exchange.hpp"
#include "metrics/registry.hpp"
#include "server/buffer_budget.hpp"
#include "server/listener.hpp"
#include "server/load_caps.hpp"
#include "server/server_options.hpp"
#include "server/server_services.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

class server {
public:
  // Binds the address but accepts nothing yet. Throws boost::system::system_error, std::bad_alloc.
  // `passed_socket`: listens on this socket of another process instead (see listener).
  // REQUIRES: options.threads > 0, and counters for as many workers, of these endpoints.
  server(server_options options, const endpoint_table& endpoints, cache& store,
         const coarse_clock& clock, server_services services, observe::registry& counters,
         unique_fd passed_socket = unique_fd{-1});
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // Where it listens; the port that the kernel picked, if options.port is 0.
  boost::asio::ip::tcp::endpoint local_endpoint() const { return listener_.local_endpoint(); }

  // `ended` is called once, from the last worker that ends.
  void start(std::function<void()> ended = {});

  // /readyz returns 503 from now on. Connections are accepted for another drain_delay_ms; then
  // every received request is answered. All ends within drain_timeout_ms.
  void begin_drain() noexcept;

  // Ends at once; only a flush in progress is waited for.
  void stop() noexcept;

  void wait();

  const entity_tagger& tags() const noexcept { return shared_.tags; }

  bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

  // In force from now on; from any thread. Connections above a lower cap stay open, but stalled
  // ones may be closed.
  void set_caps(const load_caps& caps) noexcept;

  std::size_t connections_most() const noexcept { return listener_.connections_most(); }
  std::size_t connection_count() const noexcept; // served at the moment

  // Memory held by all connections, for the accounting of the process.
  std::size_t buffer_bytes() const noexcept { return budget_.used_bytes(); }
  bool is_short_of_memory() const noexcept { return budget_.is_short(); }

  // The number of sweeps of a worker, which rises several times a second until it is stopped or
  // drained; from any thread. REQUIRES: worker < options.threads.
  std::uint64_t sweeps(std::size_t worker) const noexcept { return workers_[worker]->sweeps(); }

  // Connections that hold more than themselves; for tests.
  std::size_t holder_count() const noexcept;

private:
  std::vector<std::unique_ptr<worker>> make_workers(observe::registry& counters);
  void run_in_background(std::function<void()> job); // throws std::bad_alloc

  const server_options options_;
  const server_services services_;
  const fault_table faults_;
  std::atomic<bool> draining_{false};
  const shared_state shared_;
  buffer_budget budget_;
  // A flush and a snapshot do not wait for each other. Not one pool of two threads: its constructor
  // never returns if the kernel refuses the second.
  boost::asio::thread_pool background_{1};
  boost::asio::thread_pool background_beside_{1};
  std::atomic<unsigned> background_jobs_{0};
  std::vector<std::unique_ptr<worker>> workers_;
  std::latch begun_; // workers that wait for connections
  listener listener_;

  std::vector<std::thread> threads_;
  std::atomic<std::size_t> running_{0};
  std::function<void()> ended_;
};

} // namespace kvcache::http
