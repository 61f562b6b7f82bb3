// The connections of a worker whose next response has to wait: for memory to hold it, first come
// first served, or for the peer's acknowledgements of earlier responses.
//
// Waiting connections are tried again whenever memory has been freed and every other millisecond,
// since other workers may free memory, and peers acknowledge, without an event here.
//
// Thread-safety: none; all members run on the worker's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "server/buffer_budget.hpp"
#include "server/connection.hpp"
#include "server/handler_memory.hpp"
#include "server/load_shedder.hpp"
#include "server/server_options.hpp"

namespace kvcache::http {

// A timer without Asio's type-erased executor.
using worker_timer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>;

// Whether a response may be sent: no; with memory for it; or with the budget's spare, which has to
// be given back.
enum class room_grant : std::uint8_t { none, room, spare };

class response_queue {
public:
  response_queue(boost::asio::io_context& context, const server_options& options,
                 buffer_budget& budget, sweep_clock& clock, load_shedder& shedder)
      : options_(options), budget_(budget), clock_(clock), shedder_(shedder), timer_(context) {}

  // Whether a response of so many bytes may be sent, of which all or a part may have to be held.
  // Those that wait come first: `first_in_line`.
  room_grant admit(std::size_t bytes, bool first_in_line) noexcept;
  void give_spare_back() noexcept;

  // Tries the connection again until it no longer waits.
  void wait_for_room(connection& c) noexcept;
  void wait_for_peer(connection& c) noexcept;

  // Whether a response that has waited for memory since then is refused now.
  bool has_waited_too_long(std::uint64_t since_ms) const noexcept;

  // Once, before the first request: later timers need no more memory than this one. Throws
  // std::bad_alloc.
  void prepare();

  // For the sweep: in case the timer could not be set.
  void retry_if_unscheduled() noexcept;

  // Memory has been freed.
  void on_freed() noexcept;

private:
  using waiter_list = boost::intrusive::list<connection, boost::intrusive::base_hook<waiter_hook>,
                                             boost::intrusive::constant_time_size<false>>;

  void schedule() noexcept;
  void set_timer();
  void retry() noexcept;
  void retry_responses() noexcept;
  void retry_peers() noexcept;
  void announce() noexcept;

  const server_options& options_;
  buffer_budget& budget_;
  sweep_clock& clock_;
  load_shedder& shedder_;
  waiter_list for_room_;
  waiter_list for_peer_;
  handler_memory timer_memory_;
  worker_timer timer_;
  bool scheduled_ = false;
  bool announced_ = false; // to the budget, that a response waits here
};

} // namespace kvcache::http
