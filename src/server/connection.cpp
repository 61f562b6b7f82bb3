#include "server/connection.hpp"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

#include "api/router.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

namespace {

// Input is received in pieces of up to this size while it keeps coming; a single request may need
// more.
constexpr std::size_t burst_bytes = std::size_t{16} << 10;

// An input buffer of this size is not doubled but grows by half: so much more memory may take a few
// readings to come. And it is not kept for the next request.
constexpr std::size_t large_input_bytes = std::size_t{1} << 20;

// Replies are sent when this much has been written, though more requests may be in the buffer.
constexpr std::size_t send_mark_bytes = std::size_t{64} << 10;

// So much of a reply is kept for a peer however short memory is: it belongs to what a connection is
// reckoned to cost.
constexpr std::size_t always_kept_bytes = 2048;

// A lingering close discards what the peer still sends. It ends where the peer sends less than this
// within the linger timeout: a slow trickle does not hold the connection.
constexpr std::size_t discarded_bytes_least = std::size_t{16} << 10;

// A peer that takes less than this within the write timeout is cut: one that reads a byte now and
// then does not hold its replies for ever. One segment of any network is more.
constexpr std::size_t taken_bytes_least = 512;

// Where memory is short, a peer makes use of what is held for it while it takes one in so many of
// these bytes within the time after which it may be cut.
constexpr std::size_t held_per_taken_byte = 16;

// Where memory is short, so much is sent at a time.
constexpr std::size_t short_mark_bytes = 4096;

// So much the kernel holds for a peer that takes its replies, now and then: it belongs to what a
// connection is reckoned to cost. More for long is replies that it does not take.
constexpr std::size_t kernel_bytes_under_way = 4096;

bool is_temporary(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

} // namespace

connection::connection(worker& owner, unique_fd socket, admission as) noexcept
    : owner_(owner),
      socket_(std::move(socket)),
      parser_(owner.options().limits),
      admitted_as_(as) {}

connection::~connection() {
  owner_.remove_from_holders(*this);
  give_spare_back();
  owner_.change_held(accounted_bytes_, 0);
  owner_.change_held_by_kernel(kernel_bytes_, 0);
}

void connection::start() noexcept {
  // Replies go out whole; holding back the end of one for the peer's acknowledgement only delays
  // it.
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  interest_ = interest::receive;
  if (!owner_.sockets().add(socket_.get(), *this, interest_))
    close();
  else if (admitted_as_ == admission::refused)
    say_last(fault::too_many_connections);
  else
    wait_for_input();
  account();
}

// ---- receiving -----------------------------------------------------------------------

void connection::on_ready() noexcept {
  if (phase_ == phase::closed) return; // shed meanwhile
  if (phase_ == phase::sending)
    send_pending();
  else if (interest_ == interest::nothing)
    close(); // nothing is waited for: the socket has failed
  else if (phase_ == phase::linger)
    discard();
  else
    receive();
  account();
  owner_.retire(*this);
}

void connection::receive() noexcept {
  if (const fault why = make_room_to_receive(); why != fault::none) {
    if (why != fault::no_request_memory || !wait_for_memory()) say_last(why);
    return;
  }
  waits_for_memory_ = false;
  const ssize_t got = ::recv(socket_.get(), input_.free_room(), input_.free_bytes(), 0);
  if (got > 0)
    on_received(static_cast<std::size_t>(got));
  else if (got == 0 || !is_temporary(errno))
    close(); // at the peer's end, too: all complete requests before it have been answered
}

void connection::on_received(std::size_t bytes) noexcept {
  input_full_ = bytes == input_.free_bytes();
  input_.commit(bytes);
  peak_input_bytes_ = std::max(peak_input_bytes_, input_.unused().size());
  owner_.handlers().counters.add(observe::event::bytes_received, bytes);
  serve();
}

fault connection::make_room_to_receive() noexcept {
  if (input_.empty() && !input_full_) return fault::none;
  input_.compact();
  if (input_.free_bytes() == 0) return grow_for_request();
  if (input_full_ && input_.capacity() < burst_bytes && !owner_.is_short_of_memory())
    grow_input(input_.capacity() * 2);
  return fault::none;
}

// The buffer never gets larger than the request needs, where that is known, nor than a request may
// be; and it grows no sooner than the bytes come. The parser limits what a request is.
fault connection::grow_for_request() noexcept {
  input_.shorten(parser_.remove_framing(input_.unused_bytes()));
  const std::size_t announced = parser_.announced_bytes();
  const std::size_t capacity = input_.capacity();
  const std::size_t most = owner_.bytes_held_most();
  const std::size_t worth_a_receive = capacity < most ? capacity / 32 : 1;
  if (input_.free_bytes() >= worth_a_receive) return fault::none;
  if (announced > most || capacity >= most) return fault::beyond_memory;
  const std::size_t enough = announced != 0 ? announced : owner_.options().limits.request_bytes();
  const auto grow_to = [&](std::size_t bytes) noexcept {
    return grow_input(std::min({bytes, std::max(enough, capacity + 1), most}));
  };
  if (capacity < large_input_bytes)
    return grow_to(capacity * 2) ? fault::none : fault::no_request_memory;
  // Where there is no memory for so much, a little may do: how much is still to come of chunks is
  // not known.
  return grow_to(capacity / 2 * 3) || grow_to(capacity / 8 * 9) ? fault::none
                                                                : fault::no_request_memory;
}

// Memory is made for it meanwhile, or will be: the next sweep tries again. False: it has waited
// long enough.
bool connection::wait_for_memory() noexcept {
  if (!waits_for_memory_) since_ms_ = owner_.now_ms();
  waits_for_memory_ = true;
  if (owner_.has_stalled(since_ms_)) return false;
  wait_for(interest::nothing);
  return true;
}

bool connection::grow_input(std::size_t to_bytes) noexcept {
  return owner_.may_hold(to_bytes - input_.heap_bytes()) && input_.grow(to_bytes);
}

// ---- answering -----------------------------------------------------------------------

// A final response has been written: it is `out` from `at` on. The only place where one is counted
// and reported to the access log (besides listener::refuse()), so that both agree.
inline void connection::count_response(const route& to, std::size_t status_slot, method verb,
                                       const output_buffer& out, std::size_t at) noexcept {
  if (access_recorder* access = owner_.access(); access != nullptr) [[unlikely]]
    access->note(socket_.get(), verb, to.path, out.view().substr(at));
  owner_.handlers().counters.count_response_in(to.operation, status_slot);
}

// Answers all complete requests that have been received, then waits for what comes next.
void connection::serve() noexcept {
  output_buffer& out = owner_.scratch();
  out.clear();
  serve_after(out);
}

// The same, behind what `out` holds already. Every request is answered from here, so every one
// belongs to a batch.
void connection::serve_after(output_buffer& out) noexcept {
  const worker::batch batch{owner_};
  answer_and_send(out);
}

void connection::answer_and_send(output_buffer& out) noexcept {
  try {
    answer_all(out);
  } catch (const std::bad_alloc&) {
    ending_ = true; // not even a refusal could be written: what is in `out` is the last we say
  }
  if (phase_ == phase::closed || phase_ == phase::sending) return; // had to send in between
  if (phase_ == phase::room) return;
  if (!send(out)) return;
  if (is_deferring_) return;
  if (ending_)
    end();
  else
    wait_for_input();
}

void connection::answer_all(output_buffer& out) {
  if (ending_ || is_deferring_) return;
  std::size_t mark = send_mark();
  while (!input_.empty()) {
    // Where memory is short, a request is answered when the peer has acknowledged nearly all
    // responses before it.
    if (mark != send_mark_bytes && out.empty() && peer_is_behind()) {
      wait_for_peer();
      return;
    }
    if (!answer_next(out, mark)) return;
    if (out.size() < mark) continue;
    if (!send(out)) return;
    mark = send_mark();
  }
}

// How much is written before it is sent.
std::size_t connection::send_mark() const noexcept {
  if (!owner_.is_short_of_memory()) return send_mark_bytes;
  return owner_.is_over_the_cap() ? 1 : short_mark_bytes;
}

// False: there is no further complete request, its response has to wait, or none may follow it now.
bool connection::answer_next(output_buffer& out, std::size_t mark) {
  const parse_result parsed =
      held_request_bytes_ != 0
          ? parse_result{parse_status::complete, fault::none, std::exchange(held_request_bytes_, 0)}
          : parser_.parse(input_.unused_bytes());
  switch (parsed.status) {
  case parse_status::need_more:
    if (is_over_limit() && parser_.phase() == parse_phase::body)
      refuse_and_end(out, fault::too_many_connections); // it asks for no health
    else if (parser_.take_100_continue())
      answer_expectation(out);
    return false;
  case parse_status::refused:
    refuse_and_end(out, parsed.why);
    return false;
  case parse_status::complete:
    break;
  }
  prefetch_behind(parsed.consumed);
  handled result = handled::close;
  if (is_over_limit() &&
      !is_served_when_full(owner_.handlers().shared.endpoints, parser_.current())) [[unlikely]]
    refuse_over_limit(out);
  else
    result = handle(out, parsed.consumed, mark);
  if (result == handled::held_back) {
    held_request_bytes_ = parsed.consumed;
    return phase_ != phase::room && send(out); // what stands before it goes first
  }
  input_.consume(parsed.consumed);
  parser_.reset();
  phase_ = phase::serving; // the next request has its own deadlines
  served_ = true;
  if (result == handled::go_on) [[likely]]
    return true;
  if (result == handled::deferred)
    begin_deferred();
  else
    ending_ = true;
  return false;
}

// While one request is answered, the processor fetches what the next one is going to look for.
void connection::prefetch_behind(std::size_t request_bytes) const noexcept {
  const cache& store = owner_.handlers().shared.store;
  const std::string_view unused = input_.unused();
  if (unused.size() == request_bytes || !store.prefetch_pays()) return;
  const std::string_view key = parser_.guess_key(unused.substr(request_bytes));
  if (!key.empty()) store.prefetch(key);
}

// The peer asks whether to send its body. Where that is refused the connection ends, since what
// comes next on it may or may not be that body.
void connection::answer_expectation(output_buffer& out) {
  const request& asked = parser_.describe_head(input_.unused());
  exchange x{asked, options_for(asked, after_reply::close), out, owner_.handlers()};
  const std::size_t before = out.size();
  if (refuse_by_head(x)) {
    ending_ = true;
    count_response(*x.to, x.status_slot, asked.verb, out, before);
  } else if (owner_.can_never_hold(parser_.announced_bytes())) {
    refuse_and_end(out, fault::beyond_memory);
  } else {
    out.append(continue_reply);
  }
}

handled connection::handle(output_buffer& out, std::size_t request_bytes, std::size_t mark) {
  const request& asked = parser_.current();
  const bool last = !asked.keep_alive || is_last(request_bytes);
  const after_reply then = last ? after_reply::close : after_reply::go_on;
  exchange x{asked, options_for(asked, then), out, owner_.handlers()};
  const std::size_t before = out.size();
  handled result = handled::close;
  try {
    if (room_refused_) [[unlikely]]
      result = refuse_for_room(x);
    else
      result = dispatch(x);
  } catch (const std::bad_alloc&) {
    result = refuse(x, {fault::out_of_memory});
  }
  if (out.size() > mark && !is_admitted(out, before)) [[unlikely]] {
    hold_back(x, before);
    return handled::held_back;
  }
  if (room_bytes_ != 0) [[unlikely]]
    leave_line();
  if (result == handled::deferred) {
    deferred_ = {x.to, asked.verb, x.how};
    return result;
  }
  count_response(*x.to, x.status_slot, asked.verb, out, before);
  return last ? handled::close : result;
}

// ---- waiting for room ----------------------------------------------------------------

// Whether what stands in `out` may be sent: a part of it, or all, may have to be kept. Only the
// response to a GET is so large that this is asked, and a GET can be handled once more.
bool connection::is_admitted(const output_buffer& out, std::size_t before) noexcept {
  if (out.size() - before <= always_kept_bytes) return true;
  if (first_in_line_ && before == 0 && out.size() <= room_bytes_) return true;
  owner_.account_scratch();
  switch (owner_.admit(out.size(), false)) {
  case room_grant::none:
    return false;
  case room_grant::spare:
    has_spare_ = true;
    break;
  case room_grant::room:
    break;
  }
  return true;
}

handled connection::refuse_for_room(exchange& x) {
  x.to = &x.context.shared.endpoints.route_of(x.asked.path);
  return refuse(x, {fault::no_response_memory});
}

void connection::hold_back(exchange& x, std::size_t before) noexcept {
  const std::size_t bytes = x.out.size() - before;
  x.out.truncate(before);
  if (x.to->to != nullptr && x.to->to->operation.access == observe::store_access::get)
    --x.context.batch_gets; // nor is it timed
  if (before == 0) wait_for_room(bytes);
}

void connection::leave_line() noexcept {
  first_in_line_ = room_refused_ = false;
  room_bytes_ = 0;
}

void connection::wait_for_room(std::size_t bytes) noexcept {
  owner_.wait_for_room(*this);
  if (room_bytes_ == 0) room_since_ms_ = owner_.now_ms();
  room_bytes_ = bytes;
  enter(phase::room);
  wait_for(interest::nothing);
}

void connection::wait_for_peer() noexcept {
  owner_.wait_for_peer(*this);
  leave_line();
  enter(phase::room);
  wait_for(interest::nothing);
  queued_bytes_ = unacknowledged_bytes();
  ask_kernel();
}

bool connection::peer_is_behind() const noexcept {
  if (!owner_.is_short_of_memory()) return false;
  return unacknowledged_bytes() > (owner_.is_over_the_cap() ? 0 : kernel_bytes_under_way);
}

retried connection::retry_response() noexcept {
  const room_grant found = owner_.admit(room_bytes_, true);
  has_spare_ = has_spare_ || found == room_grant::spare;
  room_refused_ = found == room_grant::none && owner_.has_waited_too_long(room_since_ms_);
  if (found == room_grant::none && !room_refused_) return retried::waits;
  first_in_line_ = true;
  const retried result = room_refused_ ? retried::refused : retried::admitted;
  serve_again();
  return result;
}

void connection::retry_peer() noexcept {
  look_what_is_taken();
  ask_kernel();
  if (peer_is_behind())
    owner_.wait_for_peer(*this);
  else
    serve_again();
}

void connection::serve_again() noexcept {
  stop_waiting();
  phase_ = phase::serving;
  serve();
  if (phase_ != phase::room && phase_ != phase::sending && phase_ != phase::closed &&
      !is_deferring_)
    wait_for(interest::receive);
  account();
}

void connection::stop_waiting() noexcept {
  if (waiter_hook::is_linked()) waiter_hook::unlink();
}

void connection::give_spare_back() noexcept {
  if (!has_spare_) return;
  has_spare_ = false;
  owner_.give_spare_back();
}

// While draining: whether nothing has been received behind this request. Over the connection limit
// there is only one.
bool connection::is_last(std::size_t request_bytes) const noexcept {
  if (is_over_limit()) return true;
  if (!owner_.draining() || input_.unused().size() > request_bytes) return false;
  return !has_received_more();
}

// Over the connection limit, unless the request asks for the server's health.
void connection::refuse_over_limit(output_buffer& out) {
  const request& asked = parser_.current();
  exchange x{asked, options_for(asked, after_reply::close), out, owner_.handlers()};
  const std::size_t before = out.size();
  x.to = &x.context.shared.endpoints.route_of(asked.path);
  refuse(x, {fault::too_many_connections});
  owner_.handlers().counters.add(observe::event::connection_refused);
  count_response(*x.to, x.status_slot, asked.verb, out, before);
}

void connection::refuse_and_end(output_buffer& out, fault why) {
  ending_ = true;
  handler_context& context = owner_.handlers();
  if (is_over_limit()) why = fault::too_many_connections; // whatever else may be wrong with it
  const std::size_t before = out.size();
  const request& asked = parser_.unfinished();
  context.writer.refuse(out, {why}, options_for(asked, after_reply::close));
  if (is_over_limit()) context.counters.add(observe::event::connection_refused);
  const std::optional<std::string_view> path = parser_.path_of_head(input_.unused());
  count_response(path ? context.shared.endpoints.route_of(*path) : endpoint_table::unread(),
                 observe::status_slot(context.shared.faults[why].status), asked.verb, out, before);
}

// ---- deferred responses --------------------------------------------------------------

// The work is done on another thread; meanwhile this connection neither receives nor answers.
void connection::begin_deferred() noexcept {
  is_deferring_ = true;
  enter(phase::deferred);
  wait_for(interest::nothing);
  try {
    owner_.run_in_background(deferred_.to->to->later.run,
                             [this](std::size_t result) { on_deferred(result); });
  } catch (const std::bad_alloc&) {
    is_deferring_ = false;
    ending_ = true;
  }
}

void connection::on_deferred(std::size_t result) noexcept {
  is_deferring_ = false;
  deferred_result_ = result;
  if (phase_ == phase::deferred) respond_deferred(); // else earlier responses are being sent
  account();
  owner_.retire(*this);
}

void connection::respond_deferred() noexcept {
  output_buffer& out = owner_.scratch();
  out.clear();
  ending_ = deferred_.how.connection == persistence::close;
  try {
    deferred_.to->to->later.respond(out, owner_.handlers(), *deferred_result_, deferred_.how);
    count_response(*deferred_.to, ok_slot, deferred_.verb, out, 0);
  } catch (const std::bad_alloc&) {
    ending_ = true;
  }
  deferred_result_.reset();
  phase_ = phase::serving;
  wait_for(interest::receive);
  serve_after(out);
}

// ---- sending -------------------------------------------------------------------------

// True: `out` has been sent and is empty. False: the rest is sent later, or the connection is
// closed.
bool connection::send(output_buffer& out) noexcept {
  if (out.empty()) return true;
  const std::string_view text = out.view();
  const ssize_t taken = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (taken < 0 && !is_temporary(errno)) {
    close();
    return false;
  }
  const std::size_t sent = taken < 0 ? 0 : static_cast<std::size_t>(taken);
  owner_.handlers().counters.add(observe::event::bytes_sent, sent);
  owner_.note_sent(sent);
  if (sent == text.size()) {
    out.clear();
    return true;
  }
  keep_for_later(out, sent);
  return false;
}

// A response has begun: this cannot fail. What is copied needs less memory, what is moved none.
void connection::keep_for_later(output_buffer& out, std::size_t sent) noexcept {
  bool copied = false;
  if (const std::string_view rest = out.view().substr(sent); rest.size() < out.capacity() / 2) {
    try {
      pending_.append(rest);
      copied = true;
    } catch (const std::bad_alloc&) {
    }
  }
  if (!copied) {
    pending_.swap(out);
    owner_.account_scratch();
  }
  pending_sent_ = copied ? 0 : sent;
  out.clear();
  queued_bytes_ = unacknowledged_bytes();
  taken_bytes_ = 0;
  enter(phase::sending);
  wait_for(interest::send);
  ask_kernel(); // its buffer is full
}

void connection::send_pending() noexcept {
  const std::string_view rest = pending_.view().substr(pending_sent_);
  const ssize_t taken = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (taken < 0) {
    if (!is_temporary(errno)) close();
    return;
  }
  const auto sent = static_cast<std::size_t>(taken);
  owner_.handlers().counters.add(observe::event::bytes_sent, sent);
  pending_sent_ += sent;
  if (sent == rest.size()) {
    on_all_sent();
    return;
  }
  queued_bytes_ = unacknowledged_bytes();
  on_taken(sent); // as much room as this has become free in the queue
}

// The kernel says that there is room to send in again only when a good part of its queue has been
// acknowledged, which a slow reader may need minutes for. What happens in between is seen here, at
// each sweep; where the window of the peer is large, in steps of that window.
void connection::look_what_is_taken() noexcept {
  const std::uint32_t now_queued_bytes = unacknowledged_bytes();
  const std::uint32_t taken = queued_bytes_ - std::min(now_queued_bytes, queued_bytes_);
  if (taken < taken_bytes_least) return; // small steps add up
  queued_bytes_ = now_queued_bytes;
  on_taken(taken);
}

// Of what the kernel has taken. It always tells of a connected socket; if not, that is no progress.
std::uint32_t connection::unacknowledged_bytes() const noexcept {
  int bytes = 0;
  return ::ioctl(socket_.get(), SIOCOUTQ, &bytes) == 0 ? static_cast<std::uint32_t>(bytes)
                                                       : UINT32_MAX;
}

void connection::on_taken(std::size_t bytes) noexcept {
  if (!is_over_limit()) deadline_ms_ = owner_.deadline_in_ms(timeout_ms(phase_));
  taken_bytes_ += bytes;
  if (taken_bytes_ < pending_.capacity() / held_per_taken_byte) return;
  taken_bytes_ = 0;
  since_ms_ = owner_.now_ms();
  if (is_holder()) owner_.put_last_of_holders(*this);
}

void connection::on_all_sent() noexcept {
  // The next large response needs no new memory then.
  if (output_buffer& scratch = owner_.scratch(); scratch.capacity() < pending_.capacity())
    scratch.swap(pending_);
  pending_.release();
  owner_.account_scratch();
  give_spare_back();
  phase_ = is_deferring_ ? phase::deferred : phase::serving;
  wait_for(is_deferring_ ? interest::nothing : interest::receive);
  if (deferred_result_)
    respond_deferred();
  else if (!is_deferring_)
    serve();
}

// ---- waiting, ending -----------------------------------------------------------------

void connection::wait_for_input() noexcept {
  if (input_.heap_bytes() > large_input_bytes && input_.empty()) input_.shrink();
  const parse_phase parsing = parser_.phase();
  const phase next = parsing == parse_phase::idle   ? phase::idle
                     : parsing == parse_phase::head ? phase::head
                                                    : phase::body;
  // What is under way keeps the deadline it has: a drip of bytes does not extend it, nor one of
  // empty lines. After a request `phase_` is another.
  // Over the limit, the whole head has the time of the first byte.
  if (next != phase_ && !(phase_ == phase::idle && is_over_limit())) enter(next);
}

void connection::sweep(std::uint64_t late_ms) noexcept {
  if (phase_ == phase::closed) return;
  deadline_ms_ += late_ms;
  linger_end_ms_ += late_ms;
  if (phase_ == phase::sending || waits_for_peer()) look_what_is_taken();
  if (waits_for_memory_) wait_for(interest::receive);
  const bool idle = phase_ == phase::idle && input_.empty();
  if (idle && owner_.idle_ones_must_go()) {
    if (!has_received_more()) close();
  } else if (owner_.now_ms() >= deadline_ms_) {
    expire();
  } else if (holds_in_vain()) {
    say_last(fault::no_request_memory);
  } else if (idle) {
    give_memory_back();
  }
  peak_input_bytes_ = 0;
  account();
}

// Part of a large request that does not go on, while others need the memory. Where more of it waits
// in the socket it is we who are late, not the peer.
bool connection::holds_in_vain() const noexcept {
  return (phase_ == phase::head || phase_ == phase::body) && is_holder() &&
         owner_.has_stalled(since_ms_) && owner_.is_short_of_memory() && !has_received_more();
}

void connection::look_for_progress() noexcept {
  if (phase_ == phase::sending || waits_for_peer()) look_what_is_taken();
}

bool connection::shed(bool at_rest) noexcept {
  // A peer that has acknowledged everything waits for its turn.
  const bool waits = phase_ == phase::sending || phase_ == phase::linger ||
                     (waits_for_peer() && unacknowledged_bytes() != 0);
  const bool rests = phase_ == phase::idle || phase_ == phase::head || phase_ == phase::body;
  const bool ignores_replies = rests && lies_unread() && !waits_for_memory_ && !has_unread_upload();
  const bool endangers = phase_ == phase::room && lies_unread() && owner_.is_far_over_the_cap();
  if (!waits && !(at_rest && (ignores_replies || endangers))) return false;
  drop();
  pending_.release();
  give_spare_back();
  input_.discard();
  input_.shrink();
  account();
  return true;
}

void connection::give_memory_back() noexcept {
  if (input_.heap_bytes() != 0 && peak_input_bytes_ <= input_buffer::idle_bytes) input_.shrink();
}

// The deadline has passed.
void connection::expire() noexcept {
  if (phase_ == phase::deferred) return; // how long that takes is not the peer's fault
  if (phase_ == phase::room && !waits_for_peer()) return; // that has a time of its own
  const bool waits_for_request = phase_ == phase::idle && is_over_limit();
  if (phase_ != phase::head && phase_ != phase::body && !waits_for_request) {
    if (phase_ == phase::sending || phase_ == phase::room || lies_unread())
      drop();
    else
      close();
    return;
  }
  if (waits_for_memory_) {
    say_last(fault::no_request_memory);
    return;
  }
  say_last(phase_ == phase::head ? fault::head_too_slow : fault::body_too_slow);
}

// Refuses outside of a batch, and ends.
void connection::say_last(fault why) noexcept {
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

// The last reply has been sent.
void connection::end() noexcept {
  if (::shutdown(socket_.get(), SHUT_WR) != 0) {
    close();
    return;
  }
  if (admitted_as_ == admission::health_only) {
    if (!owner_.recount_as_refused()) {
      discard(); // as much as is there: closing with it unread would be a reset
      close();
      return;
    }
    admitted_as_ = admission::refused;
  }
  enter(phase::linger);
  linger_end_ms_ = owner_.deadline_in_ms(owner_.options().timeouts.linger_total_ms);
  discarded_bytes_ = 0;
  input_.discard();
  input_full_ = false;
}

// MSG_TRUNC: the kernel drops the bytes and copies none. So a client that uploads for long before
// it reads costs no memory and little time.
void connection::discard() noexcept {
  std::array<char, 16'384> untouched; // on purpose not zero-filled
  const ssize_t got = ::recv(socket_.get(), untouched.data(), untouched.size(), MSG_TRUNC);
  if (got > 0)
    on_discarded(static_cast<std::size_t>(got));
  else if (got == 0 || !is_temporary(errno))
    close();
}

void connection::on_discarded(std::size_t bytes) noexcept {
  discarded_bytes_ += bytes;
  if (discarded_bytes_ < discarded_bytes_least) return; // small steps add up
  discarded_bytes_ = 0;
  deadline_ms_ =
      std::min(owner_.deadline_in_ms(timeout_ms(phase::linger)), linger_end_ms_); // not for ever
  if (since_ms_ == owner_.now_ms()) return;
  since_ms_ = owner_.now_ms();
  if (is_holder()) owner_.put_last_of_holders(*this);
}

void connection::close() noexcept {
  phase_ = phase::closed;
  stop_waiting();
  socket_.reset();
  account_kernel(0);
}

// Closes, and the kernel forgets at once what the peer has not taken. It would otherwise keep that
// for minutes, in no account, and for as long as the peer likes.
void connection::drop() noexcept {
  const linger forget{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &forget, sizeof(forget));
  close();
}

bool connection::has_received_more() const noexcept {
  int bytes = 0;
  return ::ioctl(socket_.get(), FIONREAD, &bytes) == 0 && bytes > 0;
}

void connection::wait_for(interest what) noexcept {
  if (what == interest_) return;
  interest_ = what;
  owner_.sockets().change(socket_.get(), *this, what);
}

// ---- deadlines and bytes -------------------------------------------------------------

void connection::enter(phase next) noexcept {
  phase_ = next;
  since_ms_ = owner_.now_ms();
  deadline_ms_ = owner_.deadline_in_ms(timeout_ms(next));
  if (is_holder()) owner_.put_last_of_holders(*this);
}

unsigned connection::timeout_ms(phase in) const noexcept {
  const deadlines& after = owner_.options().timeouts;
  switch (in) {
  case phase::idle:
    if (served_) return after.idle_timeout_ms;
    return is_over_limit() ? after.health_timeout_ms
                           : std::min(after.idle_timeout_ms, after.head_timeout_ms);
  case phase::head:
    return after.head_timeout_ms;
  case phase::body:
    return after.body_timeout_ms;
  case phase::sending:
  case phase::room:
    return is_over_limit() ? after.health_timeout_ms : after.write_timeout_ms;
  case phase::linger:
    return after.linger_timeout_ms;
  case phase::deferred:
  case phase::serving:
  case phase::closed:
    break;
  }
  return 0;
}

// Reports what this connection holds, where that has changed.
void connection::account() noexcept {
  if (has_spare_ && pending_.empty()) give_spare_back();
  const std::size_t bytes = input_.heap_bytes() + pending_.capacity();
  if (bytes == accounted_bytes_) return;
  owner_.change_held(accounted_bytes_, bytes);
  accounted_bytes_ = bytes;
  list_as_holder();
}

void connection::list_as_holder() noexcept {
  const bool holds = accounted_bytes_ != 0 || kernel_bytes_ > kernel_bytes_under_way;
  if (!holds)
    owner_.remove_from_holders(*this);
  else if (!is_holder())
    owner_.put_last_of_holders(*this);
}

// ---- what the kernel holds -----------------------------------------------------------

void connection::look_at_kernel(std::uint64_t last_look_ms, bool all) noexcept {
  if (phase_ == phase::closed) return;
  // Without a batch since then, and with nothing there, there is nothing to be seen.
  if (!all && kernel_bytes_ == 0 && since_ms_ < last_look_ms) return;
  const std::size_t before = kernel_bytes_;
  const std::uint32_t before_to_send = kernel_to_send_bytes_;
  ask_kernel();
  if (phase_ == phase::linger && kernel_to_send_bytes_ < before_to_send)
    deadline_ms_ = owner_.deadline_in_ms(timeout_ms(phase::linger));
  if (kernel_bytes_ >= before || phase_ == phase::sending || waits_for_peer())
    return; // see look_what_is_taken()
  since_ms_ = owner_.now_ms();
  if (is_holder()) owner_.put_last_of_holders(*this);
}

// While replies are being sent, the peer may fill the buffer for requests at any moment: it counts
// whole. What waits in phase::room is looked at too often for that.
void connection::ask_kernel() noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> holds{};
  socklen_t bytes = sizeof(holds);
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_MEMINFO, holds.data(), &bytes) != 0) return;
  const std::uint32_t received =
      interest_ == interest::receive || phase_ == phase::room
          ? holds[SK_MEMINFO_RMEM_ALLOC]
          : std::max(holds[SK_MEMINFO_RMEM_ALLOC], holds[SK_MEMINFO_RCVBUF]);
  kernel_to_send_bytes_ = holds[SK_MEMINFO_WMEM_QUEUED];
  account_kernel(std::size_t{received} + kernel_to_send_bytes_);
}

void connection::account_kernel(std::size_t bytes) noexcept {
  if (bytes == kernel_bytes_) return;
  owner_.change_held_by_kernel(kernel_bytes_, bytes);
  kernel_bytes_ = bytes;
  list_as_holder();
}

// Whether the kernel holds an upload that has not been read yet, and few replies: then it is we who
// are late, not the peer.
bool connection::has_unread_upload() const noexcept {
  return kernel_to_send_bytes_ <= kernel_bytes_under_way && has_received_more();
}

// Replies in the kernel that the peer does not take, as far as one can tell.
bool connection::lies_unread() const noexcept { return kernel_bytes_ > kernel_bytes_under_way; }

} // namespace kvcache::http
