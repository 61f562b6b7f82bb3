// One thread that serves its own connections: an io_context, the connections on it, and what they
// share (scratch output, prepared replies, a coarse clock, counters).
//
// Threads: run() is the thread's body. adopt(), begin_drain() and stop() may be called from any
// thread; connection_count() and the counters may be read from any. All else belongs to the thread
// in run(). Ownership: owns its connections; the shared state must outlive it.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

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
#include "server/block_pool.hpp"
#include "server/buffer_budget.hpp"
#include "server/connection.hpp"
#include "server/drain_stage.hpp"
#include "server/fair_coin.hpp"
#include "server/ready_set.hpp"
#include "server/server_options.hpp"
#include "server/server_services.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::http {

// Whether a response may be sent: no; with room for it; or with the budget's spare, which has to be
// given back.
enum class room_grant : std::uint8_t { none, room, spare };

class worker {
public:
  // Runs a long job off the worker threads; from any thread.
  using background = std::function<void(std::function<void()>)>;

  // `seed`: of the choice of batches that are timed; another for each
  // worker.
  worker(const shared_state& shared, const server_options& options, const server_services& services,
         observe::worker_counters& counters, buffer_budget& budget, background run_in_background,
         std::uint64_t seed);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  boost::asio::io_context& context() noexcept { return context_; }

  // Returns after stop(), or after begin_drain() when the last connection has ended. Counts `begun`
  // down once it waits for connections, for which it may have had to wait for memory.
  void run(std::latch& begun) noexcept;

  // Takes the connection over; it counts at once.
  void adopt(unique_fd peer, admission as = admission::served);

  // How many there are, as long as they are open.
  std::size_t connection_count(admission as = admission::served) const noexcept {
    return counts_[static_cast<std::size_t>(as)].load(std::memory_order_relaxed);
  }

  // Connections that hold more than themselves; for tests.
  std::size_t holder_count() const noexcept {
    return holder_count_.load(std::memory_order_relaxed);
  }

  // No more connections will be adopted. REQUIRES: called by whoever calls adopt().
  // All its connections have ended at `end`.
  void begin_drain(drain_clock::time_point end);
  void stop();

  // ---- for the connections of this worker -------------------------------------------------
  // Coarse: as of the last sweep, or retry.
  std::uint64_t now_ms() const noexcept { return now_ms_; }

  // When something that starts now and may take `timeout_ms` has surely taken longer.
  std::uint64_t deadline_in_ms(unsigned timeout_ms) const noexcept;

  const server_options& options() const noexcept { return options_; }
  handler_context& handlers() noexcept { return handlers_; }
  output_buffer& scratch() noexcept { return scratch_; }
  ready_set& sockets() noexcept { return sockets_; }
  bool draining() const noexcept { return draining_; }
  access_recorder* access() noexcept { return access_.get(); } // mostly null

  // While draining: from now on, a connection without a request under way is closed.
  bool idle_ones_must_go() const noexcept { return draining_ && now_ms_ >= drain_idle_end_ms_; }

  // What a connection holds: whether it may hold this much more, whether memory for that is short,
  // and a change of it.
  bool may_hold(std::size_t more_bytes) noexcept;
  std::size_t bytes_held_most() const noexcept { return budget_.bytes_at_a_time_most(); }
  bool can_never_hold(std::size_t bytes) const noexcept { return bytes > bytes_held_most(); }
  bool is_short_of_memory() const noexcept { return budget_.is_short(); }
  bool is_over_the_cap() const noexcept { return budget_.is_over(); }
  bool is_far_over_the_cap() const noexcept { return budget_.is_far_over(); }
  bool has_stalled(std::uint64_t since_ms) const noexcept;
  bool has_stalled_for_long(std::uint64_t since_ms) const noexcept;
  void change_held(std::size_t from_bytes, std::size_t to_bytes) noexcept;

  // The same of what the kernel holds for it, and bytes that it has just been given to send.
  void change_held_by_kernel(std::size_t from_bytes, std::size_t to_bytes) noexcept;
  void note_sent(std::size_t bytes) noexcept { sent_since_look_bytes_ += bytes; }

  // Connections that hold more than themselves, those that have got on with their work most
  // recently last.
  void put_last_of_holders(connection& c) noexcept;
  void remove_from_holders(connection& c) noexcept;

  // Whether a response of so many bytes may be sent, of which all or a part may have to be held.
  // Those that wait come first: `first_in_line`.
  room_grant admit(std::size_t bytes, bool first_in_line) noexcept;
  void give_spare_back() noexcept;

  // Has the connection tried again, until it stops waiting: for room for its response when some
  // may have become free, for its peer's acknowledgements every other millisecond.
  void wait_for_room(connection& c) noexcept;
  void wait_for_peer(connection& c) noexcept;

  // When a response that waits for room since then is to be refused.
  bool has_waited_too_long(std::uint64_t since_ms) const noexcept;

  // What has been written to has been given away, or has grown.
  void account_scratch() noexcept;

  // A connection for health only has its answer: from now on it counts among those refused, for the
  // next one to take its place. False: there are too many of those.
  bool recount_as_refused() noexcept;

  // The requests answered in one go, as long as it lives; at most one at a time. At its end it
  // takes the latencies of the requests that the handlers counted, and resets their counts and the
  // clock that they share.
  //
  // While eviction wants help, the batch ends with a part of its work.
  //
  // One batch in two is measured with two readings of the clock, so that on average there is not
  // more than one a batch. Which ones is drawn: every second one would be none of the GETs where a
  // client alternates them with PUTs. An access log has every batch timed, but not more of them
  // counted in the latencies.
  class batch {
  public:
    explicit batch(worker& of) noexcept : of_(of) { of_.batch_begin(); }
    ~batch() { of_.batch_end(); }
    batch(const batch&) = delete;
    batch& operator=(const batch&) = delete;

  private:
    worker& of_;
  };

  // Runs an endpoint's deferred work on another thread, then calls `done` here with its result.
  void run_in_background(std::size_t (*work)(const shared_state&) noexcept,
                         std::function<void(std::size_t)> done);

  // Deletes the connection if it has finished, and looks what the kernel holds if that is due. Must
  // be the caller's last use of it.
  void retire(connection& c) noexcept {
    if (c.finished() || has_freed_ || sent_since_look_bytes_ > look_after_bytes_) [[unlikely]]
      follow_up(c);
  }

private:
  using connection_list = boost::intrusive::list<connection>;
  using holder_list = boost::intrusive::list<connection, boost::intrusive::base_hook<holder_hook>,
                                             boost::intrusive::constant_time_size<false>>;
  using waiter_list = boost::intrusive::list<connection, boost::intrusive::base_hook<waiter_hook>,
                                             boost::intrusive::constant_time_size<false>>;

  bool insert(unique_fd peer, admission as) noexcept;
  void schedule_sweep();
  std::chrono::steady_clock::duration time_to_sweep() const noexcept;
  void sweep() noexcept;
  void look_at_kernel(bool all) noexcept;
  void follow_up(connection& c) noexcept;
  void bury(connection& c) noexcept;
  using stall_test = bool (worker::*)(std::uint64_t since_ms) const noexcept;
  template <class Predicate>
  void shed_stalled(bool at_rest, Predicate enough, stall_test is_stalled) noexcept;
  void shed_until_under_cap() noexcept;
  void read_clocks() noexcept;
  void note_time() noexcept;
  void schedule_retry() noexcept;
  void arm_retry();
  void retry() noexcept;
  void retry_response() noexcept;
  void retry_peers() noexcept;
  void announce_waiting() noexcept;
  void abort_all() noexcept;
  void finish_if_drained() noexcept;
  void account_pool() noexcept;
  void give_memory_back() noexcept;
  std::atomic<std::size_t>& count_of(admission as) noexcept;
  void batch_begin() noexcept;
  void batch_end() noexcept;
  void take_part_in_eviction() noexcept;

  const shared_state& shared_;
  const server_options& options_;
  const shared_work& eviction_;
  const std::atomic<bool>& eviction_wants_help_;
  buffer_budget& budget_;
  const background background_;
  const std::chrono::milliseconds sweep_interval_;

  // One thread, and all descriptors and timers are used by it alone: Asio need not lock them.
  boost::asio::io_context context_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      sweep_timer_;

  decltype(sweep_timer_) retry_timer_;

  handler_memory timer_memory_;
  handler_memory retry_memory_;
  ready_set sockets_;

  handler_context handlers_;
  const std::unique_ptr<access_recorder> access_;
  output_buffer scratch_;
  std::size_t scratch_bytes_ = 0; // of it and what the handlers decode into, accounted
  std::size_t pool_bytes_ = 0;    // of connections' blocks, accounted
  std::size_t held_bytes_ = 0;    // in this worker's buffers, not by the kernel
  std::size_t held_bytes_peak_ = 0;
  std::size_t sent_since_look_bytes_ = 0; // at what the kernel holds
  std::size_t look_after_bytes_ = 0;      // the next look is due when so much has been sent
  std::uint64_t last_look_ms_ = 0;
  unsigned sweeps_ = 0;
  block_pool pool_{sizeof(connection)};
  connection_list connections_;
  holder_list holders_;
  waiter_list waiting_for_room_; // first come, first served
  waiter_list waiting_for_peer_;
  std::atomic<std::size_t> holder_count_{0};
  std::array<std::atomic<std::size_t>, admission_count> counts_{};

  std::uint64_t now_ms_ = 0;
  std::uint64_t late_ms_ = 0; // by which the clock's readings since the last sweep were late
  bool retry_scheduled_ = false;
  bool announced_waiting_ = false;
  bool has_freed_ = false; // memory of a connection, since the last retry
  drain_clock::time_point drain_end_;
  std::uint64_t drain_idle_end_ms_ = 0;
  bool draining_ = false;
  bool stopped_ = false;

  std::chrono::steady_clock::time_point batch_start_;
  fair_coin coin_;
  bool sampled_ = false; // the batch under way counts in the latencies
};

} // namespace kvcache::http
