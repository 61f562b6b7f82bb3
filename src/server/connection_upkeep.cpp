// The part of a connection that runs beside its requests: waiting for memory and acknowledgements,
// deadlines, the accounting of memory, load shedding, and the end.
#include <algorithm>
#include <utility>

#include "server/connection.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

namespace {

// So much of a response is kept for a peer however short memory is: the estimated cost of a
// connection includes it.
constexpr std::size_t always_kept_bytes = 2048;

// So much may be in the kernel for a peer that receives its responses; likewise. More, for long, is
// output that the peer does not receive.
constexpr std::size_t kernel_bytes_in_transit = 4096;

// A lingering close ends if the peer sends less than this within the linger timeout: a slow trickle
// does not hold the connection.
constexpr std::size_t least_discarded_bytes = std::size_t{16} << 10;

} // namespace

// ---- waiting for memory to hold a response, or for acknowledgements --------------------

// Whether `out` may be sent, although a part of it, or all, may have to be kept. Only the response
// to a GET is so large that this is asked, and a GET can be handled again.
bool connection::is_admitted(const output_buffer& out, std::size_t before) noexcept {
  if (room_for(out.size() - before) <= always_kept_bytes) return true;
  const std::size_t bytes = room_for(out.size());
  if (is_first_in_line_ && before == 0 && bytes <= room_bytes_) return true;
  owner_.account_scratch();
  const room_grant found = owner_.responses().admit(bytes, false);
  has_spare_ = has_spare_ || found == room_grant::spare;
  return found != room_grant::none;
}

// The room that so much text needs, with the value behind it: of that, only what the kernel keeps
// takes memory.
std::size_t connection::room_for(std::size_t text_bytes) const noexcept {
  return pending_.has_value() ? text_bytes + owner_.options().send_buffer_bytes : text_bytes;
}

// Takes a response back. If nothing precedes it, the connection waits for memory.
void connection::hold_back(exchange& x, std::size_t before) noexcept {
  const std::size_t bytes = room_for(x.out.size() - before);
  x.out.truncate(before);
  pending_.release_value();
  if (x.to->to != nullptr && x.to->to->operation.access == observe::store_access::get)
    --x.context.batch_gets; // it is not timed
  if (before != 0) return;
  owner_.responses().wait_for_room(*this);
  if (room_bytes_ == 0) room_since_ms_ = owner_.clock().now_ms();
  room_bytes_ = bytes;
  enter(phase::room);
  wait_for(interest::nothing);
}

void connection::leave_queue() noexcept {
  is_first_in_line_ = room_refused_ = false;
  room_bytes_ = 0;
}

void connection::wait_for_peer() noexcept {
  owner_.responses().wait_for_peer(*this);
  leave_queue();
  enter(phase::room);
  wait_for(interest::nothing);
  pending_.expect_from(socket_.unacknowledged_bytes());
  account_kernel();
}

bool connection::peer_is_behind() const noexcept {
  if (!owner_.budget().is_short()) return false;
  return socket_.unacknowledged_bytes() > (owner_.budget().is_over() ? 0 : kernel_bytes_in_transit);
}

retried connection::retry_response() noexcept {
  const room_grant found = owner_.responses().admit(room_bytes_, true);
  has_spare_ = has_spare_ || found == room_grant::spare;
  room_refused_ =
      found == room_grant::none && owner_.responses().has_waited_too_long(room_since_ms_);
  if (found == room_grant::none && !room_refused_) return retried::waits;
  is_first_in_line_ = true;
  const retried result = room_refused_ ? retried::refused : retried::admitted;
  serve_again();
  return result;
}

void connection::retry_peer() noexcept {
  check_progress();
  account_kernel();
  if (peer_is_behind())
    owner_.responses().wait_for_peer(*this);
  else
    serve_again();
}

void connection::serve_again() noexcept {
  waiter_hook::unlink();
  phase_ = phase::serving;
  serve();
  if (phase_ != phase::room && phase_ != phase::sending && phase_ != phase::turn &&
      phase_ != phase::closed && !is_deferring_)
    wait_for(interest::receive);
  account();
}

// ---- waiting for others, between two parts of a long request ---------------------------

void connection::wait_for_turn() noexcept {
  owner_.turns().push_back(*this);
  enter(phase::turn);
  wait_for(interest::nothing);
}

void connection::take_turn() noexcept {
  serve_again();
  owner_.retire(*this);
}

void connection::give_spare_back() noexcept {
  if (std::exchange(has_spare_, false)) owner_.responses().give_spare_back();
}

// ---- deadlines -----------------------------------------------------------------------

void connection::sweep(std::uint64_t late_ms) noexcept {
  if (phase_ == phase::closed) return;
  deadline_ms_ += late_ms;
  linger_end_ms_ += late_ms;
  check_progress();
  if (waits_for_memory_) wait_for(interest::receive);
  const bool idle = phase_ == phase::idle && input_.empty();
  if (idle && owner_.closes_idle_connections()) {
    if (!socket_.has_input()) close();
  } else if (owner_.clock().now_ms() >= deadline_ms_) {
    expire();
  } else if (holds_in_vain()) {
    send_final_response(fault::no_request_memory);
  } else if (idle && input_.heap_bytes() != 0 && peak_input_bytes_ <= input_buffer::idle_bytes) {
    input_.shrink();
  }
  peak_input_bytes_ = 0;
  account();
}

void connection::check_progress() noexcept {
  if (phase_ != phase::sending && !waits_for_peer()) return;
  if (const std::size_t bytes = pending_.take_acknowledged(socket_.unacknowledged_bytes());
      bytes != 0)
    on_taken(bytes);
}

void connection::expire() noexcept {
  switch (phase_) {
  case phase::deferred: // the peer is not the cause
  case phase::turn:
    return;
  case phase::room:
    if (waits_for_peer()) reset(); // a response that waits for memory has a timeout of its own
    return;
  case phase::idle:
    if (!is_over_limit()) break;
    [[fallthrough]];
  case phase::head:
  case phase::body:
    send_final_response(waits_for_memory_       ? fault::no_request_memory
                        : phase_ == phase::head ? fault::head_too_slow
                                                : fault::body_too_slow);
    return;
  case phase::sending:
    reset();
    return;
  default:
    break;
  }
  if (has_unread_output())
    reset();
  else
    close();
}

void connection::enter(phase next) noexcept {
  phase_ = next;
  restart_deadline();
  note_progress();
}

void connection::restart_deadline() noexcept {
  deadline_ms_ = owner_.clock().deadline_in_ms(
      timeout_ms(phase_, owner_.options().timeouts, served_, is_over_limit()));
  if (phase_ == phase::body) deadline_ms_ += body_time_ms(parser_.stated_body_bytes().value_or(0));
}

void connection::note_progress() noexcept {
  since_ms_ = owner_.clock().now_ms();
  if (is_holder()) owner_.shedder().put_last(*this);
}

void connection::wait_for(interest what) noexcept {
  if (what == interest_) return;
  interest_ = what;
  owner_.sockets().change(socket_.fd(), *this, what);
}

// ---- memory --------------------------------------------------------------------------

// Reports the bytes of this connection's buffers, if they have changed.
void connection::account() noexcept {
  if (has_spare_ && pending_.empty()) give_spare_back();
  const std::size_t bytes = input_.heap_bytes() + pending_.held_bytes() +
                            (upload_ != nullptr ? upload_->resident_bytes() : 0) +
                            (work_ != nullptr ? work_->held_bytes() : 0);
  if (bytes == accounted_bytes_) return;
  owner_.shedder().change_held(accounted_bytes_, bytes);
  accounted_bytes_ = bytes;
  list_as_holder();
}

void connection::list_as_holder() noexcept {
  if (accounted_bytes_ == 0 && !has_unread_output())
    owner_.shedder().remove(*this);
  else if (!is_holder())
    owner_.shedder().put_last(*this);
}

void connection::read_kernel(std::uint64_t last_reading_ms, bool all) noexcept {
  if (phase_ == phase::closed) return;
  // Nothing was held then, and no batch has been served since.
  if (!all && kernel_bytes_ == 0 && since_ms_ < last_reading_ms) return;
  const std::size_t before = kernel_bytes_;
  const std::uint32_t before_to_send = kernel_to_send_bytes_;
  account_kernel();
  if (phase_ == phase::linger && kernel_to_send_bytes_ < before_to_send) restart_deadline();
  if (kernel_bytes_ < before && phase_ != phase::sending && !waits_for_peer()) note_progress();
}

// While responses are being sent, the peer may fill the receive buffer at any moment, so the limit
// counts. Not in phase::room, which is read too often for that.
void connection::account_kernel() noexcept {
  kernel_memory held;
  if (!socket_.read_memory(held)) return;
  if (interest_ != interest::receive && phase_ != phase::room)
    held.received = std::max(held.received, held.receive_limit);
  kernel_to_send_bytes_ = held.to_send;
  account_kernel(std::size_t{held.received} + held.to_send);
}

void connection::account_kernel(std::size_t bytes) noexcept {
  if (bytes == kernel_bytes_) return;
  owner_.shedder().change_held_by_kernel(kernel_bytes_, bytes);
  kernel_bytes_ = bytes;
  list_as_holder();
}

// Whether the kernel holds more than what is on its way, as far as one can tell.
bool connection::has_unread_output() const noexcept {
  return kernel_bytes_ > kernel_bytes_in_transit;
}

bool connection::shed(bool at_rest) noexcept {
  // A peer that has acknowledged everything waits for its turn.
  const bool waits = phase_ == phase::sending || phase_ == phase::linger ||
                     (waits_for_peer() && socket_.unacknowledged_bytes() != 0);
  const bool rests = phase_ == phase::idle || phase_ == phase::head || phase_ == phase::body;
  // An upload in the kernel that has not been received is this side's delay, not the peer's.
  const bool is_upload = kernel_to_send_bytes_ <= kernel_bytes_in_transit && socket_.has_input();
  const bool ignores_output = rests && has_unread_output() && !waits_for_memory_ && !is_upload;
  const bool endangers = ((phase_ == phase::room && has_unread_output()) || upload_ != nullptr) &&
                         owner_.budget().is_far_over();
  if (!waits && !(at_rest && (ignores_output || endangers))) return false;
  reset();
  pending_.release();
  upload_.reset();
  give_spare_back();
  input_.discard();
  input_.shrink();
  account();
  return true;
}

// ---- the end -------------------------------------------------------------------------

// Refuses outside of a batch, and ends.
void connection::send_final_response(fault why) noexcept {
  output_buffer& out = owner_.scratch();
  out.clear();
  try {
    refuse_and_end(out, why);
  } catch (const std::bad_alloc&) {
    close();
    return;
  }
  if (send(out)) end();
}

// The final response has been sent: begins the lingering close.
void connection::end() noexcept {
  if (!socket_.end_sending()) {
    close();
    return;
  }
  if (admitted_as_ == admission::health_only) {
    if (!owner_.recount_as_refused()) {
      discard(); // the input that is there: closing with unread input would be a reset
      close();
      return;
    }
    admitted_as_ = admission::refused;
  }
  enter(phase::linger);
  linger_end_ms_ = owner_.clock().deadline_in_ms(owner_.options().timeouts.linger_total_ms);
  discarded_bytes_ = 0;
  input_.discard();
  input_was_full_ = false;
}

// A client that uploads for long before it reads costs no memory and little time.
void connection::discard() noexcept {
  const transfer got = socket_.discard();
  if (!got.is_open) {
    close();
    return;
  }
  discarded_bytes_ += got.bytes;
  if (discarded_bytes_ < least_discarded_bytes) return; // small steps add up
  discarded_bytes_ = 0;
  restart_deadline();
  deadline_ms_ = std::min(deadline_ms_, linger_end_ms_);
  if (since_ms_ != owner_.clock().now_ms()) note_progress();
}

void connection::close() noexcept {
  phase_ = phase::closed;
  waiter_hook::unlink();
  socket_.close();
  account_kernel(0);
}

void connection::reset() noexcept {
  socket_.reset();
  close();
}

} // namespace kvcache::http
