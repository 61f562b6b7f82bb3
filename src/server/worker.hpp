// A thread that serves its own connections: an io_context, the connections on it, and what they
// share (output buffer, prepared responses, coarse clock, counters).
//
// Thread-safety: adopt(), begin_drain() and stop() may be called from any thread, and counts may be
// read from any. run() is the thread's body; all other members run on that thread.
// Ownership: owns its connections; the shared state must outlive it.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>

#include "api/exchange.hpp"
#include "server/access_recorder.hpp"
#include "server/admission.hpp"
#include "server/batch_timer.hpp"
#include "server/block_pool.hpp"
#include "server/buffer_budget.hpp"
#include "server/connection.hpp"
#include "server/drain_stage.hpp"
#include "server/load_shedder.hpp"
#include "server/ready_set.hpp"
#include "server/response_queue.hpp"
#include "server/server_options.hpp"
#include "server/server_services.hpp"
#include "server/sweep_clock.hpp"
#include "server/turn_queue.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::http {

class worker {
public:
  // Runs a long job off the worker threads; from any thread.
  using background = std::function<void(std::function<void()>)>;

  // `seed`: for the choice of batches that are measured; another one for each worker.
  worker(const shared_state& shared, const server_options& options, const server_services& services,
         observe::worker_counters& counters, buffer_budget& budget, background run_in_background,
         std::uint64_t seed);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  boost::asio::io_context& context() noexcept { return context_; }

  // Returns after stop(), or after begin_drain() when the last connection has ended. Counts `begun`
  // down when it waits for connections, for which it may have had to wait for memory.
  void run(std::latch& begun) noexcept;

  // Takes the connection over. It counts at once. Throws std::bad_alloc.
  void adopt(unique_fd peer, admission as = admission::served);

  // Open connections.
  std::size_t connection_count(admission as = admission::served) const noexcept {
    return counts_[static_cast<std::size_t>(as)].load(std::memory_order_relaxed);
  }

  // Sweeps so far: a sign that the thread runs, at no cost for requests.
  std::uint64_t sweeps() const noexcept { return sweeps_.load(std::memory_order_relaxed); }

  // Connections that hold more than themselves; for tests.
  std::size_t holder_count() const noexcept { return shedder_.holder_count(); }

  // Ends all connections by `end`. REQUIRES: adopt() is not called afterwards.
  void begin_drain(drain_clock::time_point end);
  void stop();

  // The remaining members are for this worker's connections.

  const server_options& options() const noexcept { return options_; }
  handler_context& handlers() noexcept { return handlers_; }
  output_buffer& scratch() noexcept { return scratch_; }
  ready_set& sockets() noexcept { return sockets_; }
  const sweep_clock& clock() const noexcept { return clock_; }
  load_shedder& shedder() noexcept { return shedder_; }
  response_queue& responses() noexcept { return responses_; }
  turn_queue& turns() noexcept { return turns_; }
  const buffer_budget& budget() const noexcept { return budget_; }
  access_recorder* access() noexcept { return access_.get(); } // mostly null
  bool draining() const noexcept { return draining_; }

  // While draining: from now on, a connection without a request in progress is closed.
  bool closes_idle_connections() const noexcept {
    return draining_ && clock_.now_ms() >= drain_idle_end_ms_;
  }

  // Reports that the scratch buffer has been exchanged or has grown.
  void account_scratch() noexcept;

  // A connection for health only has had its response: it counts among the refused ones from now
  // on, so that the next one can take its place. False: there are too many of those.
  bool recount_as_refused() noexcept;

  // The requests that are handled in one go; at most one batch exists at a time. At its end their
  // latency is recorded, and the worker takes part in eviction if that needs help.
  class batch {
  public:
    explicit batch(worker& of) noexcept : of_(of) { of_.timer_.begin(); }
    ~batch() { of_.end_batch(); }
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;

  private:
    worker& of_;
  };

  // Runs an endpoint's deferred work on another thread, then calls `done` here with its result.
  void run_in_background(deferred_work::result (*work)(const shared_state&) noexcept,
                         std::function<void(const deferred_work::result&)> done);

  // Deletes the connection if it has finished, and does follow-up work on memory that is due. Must
  // be the caller's last use of it.
  void retire(connection& c) noexcept {
    if (c.finished() || shedder_.is_due()) [[unlikely]]
      follow_up(c);
  }

private:
  bool insert(unique_fd peer, admission as) noexcept;
  void schedule_sweep();
  std::chrono::steady_clock::duration time_to_sweep() const noexcept;
  void sweep() noexcept;
  void follow_up(connection& c) noexcept;
  void destroy(connection& c) noexcept;
  void abort_all() noexcept;
  void finish_if_drained() noexcept;
  void account_pool() noexcept;
  void give_memory_back() noexcept;
  std::atomic<std::size_t>& count_of(admission as) noexcept;
  void end_batch() noexcept;
  [[gnu::noinline]] void take_part_in_eviction() noexcept;

  const shared_state& shared_;
  const server_options& options_;
  const shared_work& eviction_;
  const std::atomic<bool>& eviction_wants_help_;
  buffer_budget& budget_;
  const background background_;
  const std::chrono::milliseconds sweep_interval_;

  // One thread uses all descriptors and timers: Asio need not lock them.
  boost::asio::io_context context_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  handler_memory sweep_memory_;
  worker_timer sweep_timer_;
  ready_set sockets_;

  handler_context handlers_;
  sweep_clock clock_;
  load_shedder shedder_;
  response_queue responses_;
  turn_queue turns_;
  const std::unique_ptr<access_recorder> access_;
  batch_timer timer_;
  output_buffer scratch_;
  std::size_t scratch_bytes_ = 0;        // of it and what the handlers decode into, accounted
  std::size_t pool_bytes_ = 0;           // of connections' blocks, accounted
  std::atomic<std::uint64_t> sweeps_{0}; // written by this worker's thread only
  block_pool pool_{sizeof(connection)};
  connection_list connections_;
  std::array<std::atomic<std::size_t>, admission_count> counts_{};

  drain_clock::time_point drain_end_;
  std::uint64_t drain_idle_end_ms_ = 0;
  bool draining_ = false;
  bool stopped_ = false;
};

inline void worker::end_batch() noexcept {
  timer_.end();
  if (eviction_wants_help_.load(std::memory_order_relaxed)) [[unlikely]]
    take_part_in_eviction();
  handlers_.batch_gets = 0;
  handlers_.batch_puts = 0;
  handlers_.batch_others = 0;
  handlers_.batch_ns.reset();
}

} // namespace kvcache::http
