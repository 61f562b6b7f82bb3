// A client connection: reads requests, dispatches them, and sends all responses of a pipeline batch
// at once. A large body is received straight into the memory of the entry that it becomes, and a
// large value is sent from where it is stored: neither is copied.
//
// Steady state costs two system calls per batch (one receive, one send) and no allocation.
// Responses are built in the worker's scratch buffer; only what the kernel does not accept is kept
// in the connection, and no further input is read until the peer has received it (backpressure).
//
// Lifetime: created, owned and destroyed by its worker. It is destroyed when it is closed and no
// deferred work refers to it. Before closing on its own initiative, a connection shuts down the
// write side and discards input (lingering close), so that the peer receives the final response
// rather than a reset. The lingering close is bounded by time and by the peer's rate, not by size:
// most clients read a response only when they have sent their whole request.
//
// Thread-safety: none; all members run on the worker's thread.
// Errors: no member throws. Out of memory produces a 503 or closes the connection.
#pragma once

#include <boost/intrusive/list_hook.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "api/body_upload.hpp"
#include "api/exchange.hpp"
#include "api/unfinished_work.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request_parser.hpp"
#include "server/admission.hpp"
#include "server/client_socket.hpp"
#include "server/connection_phase.hpp"
#include "server/input_buffer.hpp"
#include "server/pending_output.hpp"
#include "server/ready_set.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::http {

class worker;

struct holder_tag;
using holder_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<holder_tag>>;

struct waiter_tag;
using waiter_hook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<waiter_tag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// The outcome of retry_response().
enum class retried : std::uint8_t { admitted, refused, waits };

class connection : public boost::intrusive::list_base_hook<>,
                   public holder_hook,
                   public waiter_hook {
public:
  connection(worker& owner, unique_fd socket, admission as) noexcept;
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void start() noexcept; // once, first

  // The socket can be read from or written to, whichever is waited for, or has failed.
  void on_ready() noexcept;

  // Enforces the deadline and frees unused memory. Called periodically; `late_ms` is the delay of
  // the call, which does not count against the peer.
  void sweep(std::uint64_t late_ms) noexcept;

  // Closes at once, without a response.
  void abort() noexcept { close(); }

  // Accounts for the kernel's memory, if it may have changed since the last reading; `all`: in any
  // case.
  void read_kernel(std::uint64_t last_reading_ms, bool all) noexcept;

  // Closes at once and frees all memory, if the connection only waits for its peer; returns whether
  // it did. For load shedding. `at_rest`: the connection is not being served, and responses in the
  // kernel that the peer does not receive are a reason, too.
  bool shed(bool at_rest) noexcept;

  // Retries a response that waits for memory, or for the peer's acknowledgements: see phase::room.
  retried retry_response() noexcept;
  void retry_peer() noexcept;

  // Goes on with a request whose handling had paused.
  void take_turn() noexcept;

  // Updates since_ms(), since the last sweep may be long ago.
  void check_progress() noexcept;

  // Since when it has been in its phase without making good use of the memory it holds, on the
  // worker's clock; whether it holds more memory than itself.
  std::uint64_t since_ms() const noexcept { return since_ms_; }
  bool is_holder() const noexcept { return holder_hook::is_linked(); }

  admission admitted_as() const noexcept { return admitted_as_; }

  // Closed, and nothing refers to it: the worker may destroy it.
  bool finished() const noexcept { return phase_ == phase::closed && !is_deferring_; }

private:
  // A request whose response is written when the work of its endpoint is done.
  struct deferred_response {
    const route* to = nullptr;
    method verb = method::other;
    reply_options how{};
    std::optional<deferred_work::result> result;
  };

  // Receiving.
  void receive() noexcept;
  fault reserve_input() noexcept;
  fault grow_for_request() noexcept;
  bool grow_input(std::size_t to_bytes) noexcept;
  bool wait_for_memory() noexcept;
  bool may_receive_more(std::size_t bytes) noexcept;
  bool holds_in_vain() const noexcept;
  void wait_for_input() noexcept;

  // Receiving a large body.
  [[gnu::cold]] void receive_upload() noexcept;
  [[gnu::cold]] void continue_upload(output_buffer& out);
  bool begin_upload(output_buffer& out);
  void upload_arrived_body() noexcept;
  void upload_last_part() noexcept;
  bool upload_is_complete() const noexcept;
  void note_uploaded(std::size_t before) noexcept;

  // Responding.
  void serve() noexcept;
  void serve_after(output_buffer& out) noexcept;
  void respond_to_all(output_buffer& out);
  bool respond_to_next(output_buffer& out, std::size_t& mark);
  std::size_t send_mark() const noexcept;
  void prefetch_behind(std::size_t request_bytes) const noexcept;
  void respond_to_expectation(output_buffer& out);
  handled handle(output_buffer& out, std::size_t request_bytes, std::size_t& mark);
  [[gnu::cold]] handled settle(exchange& x, handled result, std::size_t before, std::size_t& mark);
  [[gnu::cold]] void refuse_over_limit(output_buffer& out);
  void refuse_and_end(output_buffer& out, fault why);
  void count_response(const route& to, std::size_t status_slot, method verb,
                      const output_buffer& out, std::size_t at) noexcept;
  void count_refusal(const exchange& x, const output_buffer& out, std::size_t at) noexcept;
  bool is_last(std::size_t request_bytes) const noexcept;
  bool is_over_limit() const noexcept { return admitted_as_ != admission::served; }
  void begin_deferred() noexcept;
  void on_deferred(const deferred_work::result& done) noexcept;
  void respond_deferred() noexcept;

  // Waiting for memory to hold a response, or for acknowledgements.
  bool is_admitted(const output_buffer& out, std::size_t before) noexcept;
  std::size_t room_for(std::size_t text_bytes) const noexcept;
  void hold_back(exchange& x, std::size_t before) noexcept;
  void leave_queue() noexcept;
  void wait_for_peer() noexcept;
  [[gnu::cold]] void wait_for_turn() noexcept;
  bool peer_is_behind() const noexcept;
  void serve_again() noexcept;
  void give_spare_back() noexcept;

  // Sending.
  bool send(output_buffer& out) noexcept;
  [[gnu::cold]] bool send_with_value(output_buffer& out) noexcept;
  void send_later(output_buffer& out, std::size_t sent) noexcept;
  transfer send_some(std::string_view text) noexcept;
  transfer note_transfer(transfer sent) noexcept;
  void send_pending() noexcept;
  void on_taken(std::size_t bytes) noexcept;
  void on_all_sent() noexcept;

  // Ending.
  void expire() noexcept;
  void send_final_response(fault why) noexcept;
  void end() noexcept;
  void discard() noexcept;
  void close() noexcept;
  void reset() noexcept;

  // Deadlines and memory.
  void enter(phase next) noexcept;
  void restart_deadline() noexcept;
  void note_progress() noexcept;
  void wait_for(interest what) noexcept;
  void account() noexcept;
  void account_kernel() noexcept;
  void account_kernel(std::size_t bytes) noexcept;
  void list_as_holder() noexcept;
  bool has_unread_output() const noexcept;
  bool waits_for_peer() const noexcept { return phase_ == phase::room && room_bytes_ == 0; }

  worker& owner_;
  client_socket socket_;
  input_buffer input_;
  pending_output pending_;
  request_parser parser_;
  deferred_response deferred_;
  std::unique_ptr<body_upload> upload_;   // of the request in progress, if its body is large
  std::unique_ptr<unfinished_work> work_; // of the request in progress, if it has paused

  std::uint64_t deadline_ms_ = 0; // on the worker's clock
  std::uint64_t since_ms_ = 0;
  std::size_t accounted_bytes_ = 0;
  std::size_t kernel_bytes_ = 0;       // at the last reading, accounted
  std::uint64_t linger_end_ms_ = 0;    // of phase `linger`, however fast the peer sends
  std::size_t discarded_bytes_ = 0;    // since that has extended the deadline
  std::size_t held_request_bytes_ = 0; // of a parsed request whose response waits for memory, or 0
  std::size_t peak_input_bytes_ = 0;   // the most at once since the last sweep

  std::uint64_t room_since_ms_ = 0; // since when the response waits for memory
  std::size_t uploaded_bytes_ = 0;  // since the last progress
  std::size_t room_bytes_ = 0;      // how much it needs; not 0: it waits, or has just been admitted

  std::uint32_t kernel_to_send_bytes_ = 0; // of kernel_bytes_

  admission admitted_as_;
  phase phase_ = phase::serving;
  interest interest_ = interest::nothing;
  bool is_deferring_ = false;     // work in the background refers to this
  bool is_ending_ = false;        // the final response has been written; no request follows it
  bool input_was_full_ = false;   // the last receive filled the buffer: there is probably more
  bool waits_for_memory_ = false; // to receive more of a request
  bool served_ = false;           // a request has been answered
  bool is_first_in_line_ = false; // the response that waited has been admitted
  bool room_refused_ = false;     // the response that waited is a 503
  bool has_spare_ = false;        // of the budget
};

} // namespace kvcache::http
