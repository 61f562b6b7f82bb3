// One client's connection: read → parse everything that is there → handle each → ONE write.
//
// While all goes well it costs two system calls a batch (one receive, one send) and no allocation:
// the replies are written into the worker's scratch buffer and sent from there at once; only what
// the kernel does not take is kept here, and sent when the peer reads on. Meanwhile nothing more is
// received from a peer that does not read.
//
// Life: made by the worker, which owns it and deletes it when it has finished: closed, and not
// waited for by deferred work. A connection that we end is shut down for sending first, and what
// still comes is discarded until the peer ends too: else the peer would see a reset and lose the
// last reply. This lingering close is bounded in time and by the peer's rate, not in bytes: most
// clients read a refusal only once they have sent their whole request.
//
// Thread-safety: none; everything happens on the worker's thread.
#pragma once

#include <boost/intrusive/list_hook.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/exchange.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request_parser.hpp"
#include "server/admission.hpp"
#include "server/input_buffer.hpp"
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

// What has become of a response that waits for room.
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

  // Enforces the deadline and gives unused memory back. Called by the worker every now and then,
  // and told by how much it comes late: that time is not the peer's.
  void sweep(std::uint64_t late_ms) noexcept;

  // Ends at once, without a word.
  void abort() noexcept { close(); }

  // Takes over what the kernel holds for it at the moment, where that may have changed since the
  // last look at `last_look_ms`; `all`: in any case.
  void look_at_kernel(std::uint64_t last_look_ms, bool all) noexcept;

  // Ends at once, if it waits for its peer only, and gives all that it holds back; true if it did.
  // Of use where memory is short and the peer makes no use of what is held for it. `at_rest`: it is
  // not being served, and is ended for unread replies in the kernel too. It is deleted with the
  // next sweep.
  bool shed(bool at_rest) noexcept;

  // Tries again what waits for room, or for the peer's acknowledgements: see phase::room.
  retried retry_response() noexcept;
  void retry_peer() noexcept;

  // Since the last sweep may be long ago; see since_ms().
  void look_for_progress() noexcept;

  // Since when it has been in its phase without making good use of what it holds, on the worker's
  // clock; whether it holds more than itself.
  std::uint64_t since_ms() const noexcept { return since_ms_; }
  bool is_holder() const noexcept { return holder_hook::is_linked(); }

  admission admitted_as() const noexcept { return admitted_as_; }

  // Closed, and nothing refers to it: the worker may delete it.
  bool finished() const noexcept { return phase_ == phase::closed && !is_deferring_; }

private:
  enum class phase : std::uint8_t {
    serving,  // has just come, or has just been answered: waits for nothing yet, has no deadline
    idle,     // waits for a request's first byte; empty lines before it do not count
    head,     // has part of a head
    body,     // has a head and part of a body
    deferred, // waits for work in the background
    room,     // has a request whose response finds no room, or a peer that has to acknowledge more
    sending,  // waits for the peer to take the pending output
    linger,   // has said its last word; discards what comes
    closed
  };

  // A request whose response is written once the work of its endpoint is done.
  struct deferred_response {
    const route* to = nullptr;
    method verb = method::other;
    reply_options how{};
  };

  void receive() noexcept;
  void on_received(std::size_t bytes) noexcept;
  fault make_room_to_receive() noexcept;
  fault grow_for_request() noexcept;
  bool wait_for_memory() noexcept;
  bool grow_input(std::size_t to_bytes) noexcept;
  bool holds_in_vain() const noexcept;

  void serve() noexcept;
  void serve_after(output_buffer& out) noexcept;
  void answer_and_send(output_buffer& out) noexcept;
  void answer_all(output_buffer& out);
  std::size_t send_mark() const noexcept;
  bool answer_next(output_buffer& out, std::size_t mark);
  bool is_admitted(const output_buffer& out, std::size_t before) noexcept;
  static handled refuse_for_room(exchange& x);
  void hold_back(exchange& x, std::size_t before) noexcept;
  void leave_line() noexcept;
  void wait_for_room(std::size_t bytes) noexcept;
  void wait_for_peer() noexcept;
  bool peer_is_behind() const noexcept;
  void serve_again() noexcept;
  void stop_waiting() noexcept;
  void prefetch_behind(std::size_t request_bytes) const noexcept;
  void answer_expectation(output_buffer& out);
  handled handle(output_buffer& out, std::size_t request_bytes, std::size_t mark);
  [[gnu::cold]] void refuse_over_limit(output_buffer& out);
  void refuse_and_end(output_buffer& out, fault why);
  void count_response(const route& to, std::size_t status_slot, method verb,
                      const output_buffer& out, std::size_t at) noexcept;
  bool is_last(std::size_t request_bytes) const noexcept;
  bool is_over_limit() const noexcept { return admitted_as_ != admission::served; }

  void begin_deferred() noexcept;
  void on_deferred(std::size_t result) noexcept;
  void respond_deferred() noexcept;

  bool send(output_buffer& out) noexcept;
  void keep_for_later(output_buffer& out, std::size_t sent) noexcept;
  void send_pending() noexcept;
  void look_what_is_taken() noexcept;
  void on_taken(std::size_t bytes) noexcept;
  std::uint32_t unacknowledged_bytes() const noexcept;
  void on_all_sent() noexcept;

  void wait_for_input() noexcept;
  void expire() noexcept;
  void say_last(fault why) noexcept;
  void give_memory_back() noexcept;
  void end() noexcept;
  void discard() noexcept;
  void on_discarded(std::size_t bytes) noexcept;
  void close() noexcept;
  void drop() noexcept;

  void enter(phase next) noexcept;
  void wait_for(interest what) noexcept;
  bool has_received_more() const noexcept;
  unsigned timeout_ms(phase in) const noexcept;
  void account() noexcept;
  void ask_kernel() noexcept;
  void account_kernel(std::size_t bytes) noexcept;
  void give_spare_back() noexcept;
  void list_as_holder() noexcept;
  bool lies_unread() const noexcept;
  bool has_unread_upload() const noexcept;
  bool waits_for_peer() const noexcept { return phase_ == phase::room && room_bytes_ == 0; }

  worker& owner_;
  unique_fd socket_;
  input_buffer input_;
  output_buffer pending_; // what the kernel has not taken yet
  std::size_t pending_sent_ = 0;
  request_parser parser_;
  deferred_response deferred_;
  std::optional<std::size_t> deferred_result_; // to be responded with

  std::uint64_t deadline_ms_ = 0; // on the worker's clock
  std::uint64_t since_ms_ = 0;
  std::size_t accounted_bytes_ = 0;
  std::size_t kernel_bytes_ = 0;       // what the kernel held at the last look, accounted
  std::uint64_t linger_end_ms_ = 0;    // of phase `linger`, however fast the peer sends
  std::size_t discarded_bytes_ = 0;    // since that has extended the deadline
  std::size_t held_request_bytes_ = 0; // of a parsed request whose response waits for room, or 0
  std::size_t peak_input_bytes_ = 0;   // the most at once since the last sweep
  std::size_t taken_bytes_ = 0;        // in `sending`: since it has last got on

  std::uint64_t room_since_ms_ = 0; // since when the response waits for room
  std::size_t room_bytes_ = 0;      // how much it needs; not 0: it waits, or has just been admitted

  std::uint32_t queued_bytes_ = 0;         // in `sending`: not acknowledged when it last got on
  std::uint32_t kernel_to_send_bytes_ = 0; // of kernel_bytes_

  admission admitted_as_;
  phase phase_ = phase::serving;
  interest interest_ = interest::nothing;
  bool is_deferring_ = false;     // work in the background refers to this
  bool ending_ = false;           // the last reply has been written; nothing after it is processed
  bool input_full_ = false;       // the last receive filled the buffer: there is probably more
  bool waits_for_memory_ = false; // to receive more of a request
  bool served_ = false;           // a request has been answered
  bool first_in_line_ = false;    // what waited for room has been let in
  bool room_refused_ = false;     // what waited for room is to be answered that there is none
  bool has_spare_ = false;        // of the budget
};

} // namespace kvcache::http
