#include "server/connection.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "api/router.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

namespace {

// Input is received in pieces of up to this size while more arrives; a single request may need
// more.
constexpr std::size_t burst_bytes = std::size_t{16} << 10;

// An input buffer of this size is not doubled but grows by half, since freeing so much memory may
// take several readings. It is not kept for the next request.
constexpr std::size_t large_input_bytes = std::size_t{1} << 20;

// The same where the body is received straight into the memory of its entry.
constexpr std::size_t upload_burst_bytes = std::size_t{64} << 10;

// Responses are sent when this much has been written, even if more requests are in the buffer; and
// when this much has been written while memory is short.
constexpr std::size_t send_mark_bytes = std::size_t{64} << 10;
constexpr std::size_t short_mark_bytes = 4096;

} // namespace

connection::connection(worker& owner, unique_fd socket, admission as) noexcept
    : owner_(owner),
      socket_(std::move(socket)),
      parser_(owner.options().limits),
      admitted_as_(as) {}

connection::~connection() {
  owner_.shedder().remove(*this);
  give_spare_back();
  owner_.shedder().change_held(accounted_bytes_, 0);
  owner_.shedder().change_held_by_kernel(kernel_bytes_, 0);
}

void connection::start() noexcept {
  interest_ = interest::receive;
  if (!owner_.sockets().add(socket_.fd(), *this, interest_))
    close();
  else if (admitted_as_ == admission::refused)
    send_final_response(fault::too_many_connections);
  else
    wait_for_input();
  account();
}

// ---- receiving -----------------------------------------------------------------------

void connection::on_ready() noexcept {
  if (phase_ == phase::closed) return; // by load shedding, meanwhile
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
  if (upload_ != nullptr && parser_.stated_body_bytes()) [[unlikely]] {
    receive_upload();
    return;
  }
  if (const fault why = reserve_input(); why != fault::none) {
    if (why != fault::no_request_memory || !wait_for_memory()) send_final_response(why);
    return;
  }
  waits_for_memory_ = false;
  const transfer got = socket_.receive(input_.free_space());
  if (!got.is_open) {
    close(); // all complete requests before the peer's end have been answered
  } else if (got.bytes != 0) {
    input_was_full_ = got.bytes == input_.free_bytes();
    input_.commit(got.bytes);
    peak_input_bytes_ = std::max(peak_input_bytes_, input_.unused().size());
    owner_.handlers().counters.add(observe::event::bytes_received, got.bytes);
    serve();
  }
}

fault connection::reserve_input() noexcept {
  if (input_.empty() && !input_was_full_) return fault::none;
  input_.compact();
  if (input_.free_bytes() == 0) return grow_for_request();
  if (upload_ != nullptr && !may_receive_more(input_.free_bytes())) return fault::no_request_memory;
  const std::size_t burst = upload_ != nullptr ? upload_burst_bytes : burst_bytes;
  if (input_was_full_ && input_.capacity() < burst && !owner_.budget().is_short())
    grow_input(input_.capacity() * 2);
  return fault::none;
}

// The buffer grows as bytes arrive, up to the announced size of the request or the largest one that
// is allowed.
fault connection::grow_for_request() noexcept {
  input_.shorten(parser_.remove_framing(input_.unused_bytes()));
  const std::size_t announced = parser_.announced_bytes();
  const std::size_t capacity = input_.capacity();
  const std::size_t most = owner_.budget().bytes_at_a_time_most();
  const std::size_t worth_a_receive = capacity < most ? capacity / 32 : 1;
  if (input_.free_bytes() >= worth_a_receive) return fault::none;
  if (announced > most || capacity >= most) return fault::beyond_memory;
  const std::size_t enough = announced != 0 ? announced : owner_.options().limits.request_bytes();
  const auto grow_to = [&](std::size_t bytes) noexcept {
    return grow_input(std::min({bytes, std::max(enough, capacity + 1), most}));
  };
  const bool grown = capacity < large_input_bytes
                         ? grow_to(capacity * 2)
                         // A small increase may suffice: the length of a chunked body is unknown.
                         : grow_to(capacity / 2 * 3) || grow_to(capacity / 8 * 9);
  return grown ? fault::none : fault::no_request_memory;
}

bool connection::grow_input(std::size_t to_bytes) noexcept {
  return owner_.shedder().may_hold(to_bytes - input_.heap_bytes()) && input_.grow(to_bytes);
}

// The next sweep tries again, since eviction may free memory. False: it has waited long enough.
bool connection::wait_for_memory() noexcept {
  if (!waits_for_memory_) since_ms_ = owner_.clock().now_ms();
  waits_for_memory_ = true;
  if (owner_.shedder().has_stalled(since_ms_)) return false;
  wait_for(interest::nothing);
  return true;
}

// Part of a large request makes no progress while others need the memory. If the socket has more of
// it, this side is late, not the peer.
bool connection::holds_in_vain() const noexcept {
  return (phase_ == phase::head || phase_ == phase::body) && is_holder() &&
         owner_.shedder().has_stalled(since_ms_) && owner_.budget().is_short() &&
         !socket_.has_input();
}

void connection::wait_for_input() noexcept {
  if (input_.heap_bytes() > large_input_bytes && input_.empty()) input_.shrink();
  const parse_phase parsing = parser_.phase();
  const phase next = parsing == parse_phase::idle   ? phase::idle
                     : parsing == parse_phase::head ? phase::head
                                                    : phase::body;
  // Deadlines are absolute: trickling bytes or empty lines extend none. Over the limit, the
  // deadline of the first byte covers the whole head.
  if (next != phase_ && !(phase_ == phase::idle && is_over_limit())) enter(next);
}

// ---- responding ----------------------------------------------------------------------

// Counts a final response, which is `out` from `at` on, and reports it to the access log. The only
// place besides listener::refuse(), so that both agree.
[[gnu::always_inline]] inline void connection::count_response(const route& to,
                                                              std::size_t status_slot, method verb,
                                                              const output_buffer& out,
                                                              std::size_t at) noexcept {
  if (access_recorder* access = owner_.access(); access != nullptr) [[unlikely]]
    access->note(socket_.fd(), verb, to.path, out.view().substr(at), pending_.value_bytes());
  owner_.handlers().counters.count_response_in(to.operation, status_slot);
}

void connection::count_refusal(const exchange& x, const output_buffer& out,
                               std::size_t at) noexcept {
  count_response(*x.to, x.status_slot, x.asked.verb, out, at);
}

void connection::serve() noexcept {
  output_buffer& out = owner_.scratch();
  out.clear();
  serve_after(out);
}

// Responds to all complete requests, behind the content of `out`, then waits. Every request is
// handled in here, so every one belongs to a batch.
void connection::serve_after(output_buffer& out) noexcept {
  const worker::batch batch{owner_};
  try {
    respond_to_all(out);
  } catch (const std::bad_alloc&) {
    is_ending_ = true; // not even a refusal could be written: `out` is the final output
    owner_.handlers().upload = nullptr;
    owner_.handlers().work.reset();
  }
  // Had to send before the end, or to wait.
  if (phase_ == phase::closed || phase_ == phase::sending || phase_ == phase::room) return;
  if (!send(out) || is_deferring_) return;
  if (work_ != nullptr) [[unlikely]] {
    wait_for_turn();
    return;
  }
  if (is_ending_)
    end();
  else
    wait_for_input();
}

void connection::respond_to_all(output_buffer& out) {
  if (is_ending_ || is_deferring_) return;
  std::size_t mark = send_mark();
  while (!input_.empty()) {
    // While memory is short, a request is handled when the peer has acknowledged nearly all
    // responses before it.
    if (mark != send_mark_bytes && out.empty() && peer_is_behind()) {
      wait_for_peer();
      return;
    }
    if (!respond_to_next(out, mark)) return;
    if (out.size() < mark) continue;
    if (!send(out)) return;
    mark = send_mark();
  }
}

// How much output is collected before it is sent.
std::size_t connection::send_mark() const noexcept {
  if (!owner_.budget().is_short()) return send_mark_bytes;
  return owner_.budget().is_over() ? 1 : short_mark_bytes;
}

// False: there is no further complete request, its response has to wait, or none may follow it now.
// `mark`: 0 afterwards if its response has to be sent at once. Inlined, and handle() into it: a
// call would cost a fiftieth of a pipelined request.
[[gnu::always_inline]] inline bool connection::respond_to_next(output_buffer& out,
                                                               std::size_t& mark) {
  const parse_result parsed =
      held_request_bytes_ != 0
          ? parse_result{parse_status::complete, fault::none, std::exchange(held_request_bytes_, 0)}
          : parser_.parse(input_.unused_bytes());
  switch (parsed.status) {
  case parse_status::need_more:
    if (is_over_limit() && parser_.phase() == parse_phase::body)
      refuse_and_end(out, fault::too_many_connections); // not a request for health
    else if (parser_.take_100_continue())
      respond_to_expectation(out);
    if (parser_.kind() == body_kind::value && !is_ending_) continue_upload(out);
    return false;
  case parse_status::refused:
    refuse_and_end(out, parsed.why);
    return false;
  case parse_status::complete:
    break;
  }
  if (upload_ != nullptr) [[unlikely]]
    upload_last_part();
  prefetch_behind(parsed.consumed);
  handled result = handled::close;
  if (is_over_limit() &&
      !is_served_when_full(owner_.handlers().shared.endpoints, parser_.current())) [[unlikely]]
    refuse_over_limit(out);
  else
    result = handle(out, parsed.consumed, mark);
  if (result == handled::held_back || result == handled::paused) [[unlikely]] {
    held_request_bytes_ = parsed.consumed;
    if (result == handled::paused) return false;
    return phase_ != phase::room && send(out); // earlier responses go first
  }
  input_.consume(parsed.consumed);
  if (upload_ != nullptr) [[unlikely]] {
    owner_.handlers().upload = nullptr;
    upload_.reset();
  }
  parser_.reset();
  phase_ = phase::serving; // the next request has its own deadlines
  served_ = true;
  if (result == handled::go_on) [[likely]]
    return true;
  if (result == handled::deferred)
    begin_deferred();
  else
    is_ending_ = true;
  return false;
}

// While one request is handled, the processor fetches what the next one is going to read.
void connection::prefetch_behind(std::size_t request_bytes) const noexcept {
  const cache& store = owner_.handlers().shared.store;
  const std::string_view unused = input_.unused();
  if (unused.size() == request_bytes || !store.prefetch_pays()) return;
  const std::string_view key = parser_.guess_key(unused.substr(request_bytes));
  if (!key.empty()) store.prefetch(key);
}

// The peer asks whether to send its body. A refusal ends the connection, since the next bytes may
// or may not be that body.
void connection::respond_to_expectation(output_buffer& out) {
  const request& asked = parser_.describe_head(input_.unused());
  exchange x{asked, options_for(asked, after_reply::close), out, owner_.handlers()};
  const std::size_t before = out.size();
  if (refuse_by_head(x)) {
    is_ending_ = true;
    count_response(*x.to, x.status_slot, asked.verb, out, before);
  } else if (parser_.announced_bytes() > owner_.budget().bytes_at_a_time_most()) {
    refuse_and_end(out, fault::beyond_memory);
  } else {
    out.append(continue_reply);
  }
}

[[gnu::always_inline]] inline handled
connection::handle(output_buffer& out, std::size_t request_bytes, std::size_t& mark) {
  const request& asked = parser_.current();
  const bool last = !asked.keep_alive || is_last(request_bytes);
  const after_reply then = last ? after_reply::close : after_reply::go_on;
  exchange x{asked, options_for(asked, then), out, owner_.handlers()};
  const std::size_t before = out.size();
  handled result = handled::close;
  if (work_ != nullptr) [[unlikely]]
    x.context.work = std::move(work_);
  try {
    if (room_refused_) [[unlikely]] {
      x.to = &x.context.shared.endpoints.route_of(asked.path, asked.verb);
      result = refuse(x, {fault::no_response_memory});
    } else {
      result = dispatch(x);
    }
  } catch (const std::bad_alloc&) {
    x.context.work.reset();
    result = refuse(x, {fault::out_of_memory});
  }
  if (result > handled::close) [[unlikely]] {
    result = settle(x, result, before, mark);
    if (result > handled::close) return result;
  } else if (out.size() > mark && !is_admitted(out, before)) [[unlikely]] {
    hold_back(x, before);
    return handled::held_back;
  }
  if (room_bytes_ != 0) [[unlikely]]
    leave_queue();
  count_response(*x.to, x.status_slot, asked.verb, out, before);
  return last ? handled::close : result;
}

// The rare results. go_on: the response is written, and there is room for it.
handled connection::settle(exchange& x, handled result, std::size_t before, std::size_t& mark) {
  switch (result) {
  case handled::followed:
    pending_.follow_with(std::exchange(x.context.large_value, {}));
    mark = 0;
    if (is_admitted(x.out, before)) return handled::go_on;
    hold_back(x, before);
    return handled::held_back;
  case handled::admitted:
    return handled::go_on;
  case handled::paused:
    work_ = std::move(x.context.work);
    return result;
  case handled::deferred:
    if (room_bytes_ != 0) leave_queue();
    deferred_ = {x.to, x.asked.verb, x.how, {}};
    return result;
  default:
    return result;
  }
}

// While draining: whether nothing has been received behind this request. Over the connection limit
// there is only one.
bool connection::is_last(std::size_t request_bytes) const noexcept {
  if (is_over_limit()) return true;
  if (!owner_.draining() || input_.unused().size() > request_bytes) return false;
  return !socket_.has_input();
}

void connection::refuse_over_limit(output_buffer& out) {
  const request& asked = parser_.current();
  exchange x{asked, options_for(asked, after_reply::close), out, owner_.handlers()};
  const std::size_t before = out.size();
  x.to = &x.context.shared.endpoints.route_of(asked.path, asked.verb);
  refuse(x, {fault::too_many_connections});
  owner_.handlers().counters.add(observe::event::connection_refused);
  count_response(*x.to, x.status_slot, asked.verb, out, before);
}

void connection::refuse_and_end(output_buffer& out, fault why) {
  is_ending_ = true;
  upload_.reset();
  handler_context& context = owner_.handlers();
  if (is_over_limit()) why = fault::too_many_connections; // whatever else may be wrong with it
  const std::size_t before = out.size();
  const request& asked = parser_.unfinished();
  context.writer.refuse(out, {why}, options_for(asked, after_reply::close));
  if (is_over_limit()) context.counters.add(observe::event::connection_refused);
  const std::optional<std::string_view> path = parser_.path_of_head(input_.unused());
  count_response(path ? context.shared.endpoints.route_of(*path, asked.verb)
                      : endpoint_table::unread(),
                 observe::status_slot(context.shared.faults[why].status), asked.verb, out, before);
}

// The work is done on another thread; meanwhile this connection neither receives nor responds.
void connection::begin_deferred() noexcept {
  is_deferring_ = true;
  enter(phase::deferred);
  wait_for(interest::nothing);
  try {
    owner_.run_in_background(deferred_.to->to->later.run,
                             [this](const deferred_work::result& done) { on_deferred(done); });
  } catch (const std::bad_alloc&) {
    is_deferring_ = false;
    is_ending_ = true;
  }
}

void connection::on_deferred(const deferred_work::result& done) noexcept {
  is_deferring_ = false;
  deferred_.result = done;
  if (phase_ == phase::deferred) respond_deferred(); // else earlier responses are being sent
  account();
  owner_.retire(*this);
}

void connection::respond_deferred() noexcept {
  output_buffer& out = owner_.scratch();
  out.clear();
  is_ending_ = deferred_.how.connection == persistence::close;
  try {
    const unsigned status =
        deferred_.to->to->later.respond(out, owner_.handlers(), *deferred_.result, deferred_.how);
    count_response(*deferred_.to, observe::status_slot(status), deferred_.verb, out, 0);
  } catch (const std::bad_alloc&) {
    is_ending_ = true;
  }
  deferred_.result.reset();
  phase_ = phase::serving;
  wait_for(interest::receive);
  serve_after(out);
}

// ---- sending -------------------------------------------------------------------------

transfer connection::send_some(std::string_view text) noexcept {
  return note_transfer(socket_.send(text));
}

inline transfer connection::note_transfer(transfer sent) noexcept {
  if (sent.is_open)
    owner_.handlers().counters.add(observe::event::bytes_sent, sent.bytes);
  else
    close();
  return sent;
}

// True: `out` has been sent and is empty, and the value behind it, too. False: the rest is sent
// later, or the connection is closed.
bool connection::send(output_buffer& out) noexcept {
  if (pending_.has_value()) [[unlikely]]
    return send_with_value(out);
  if (out.empty()) return true;
  const transfer sent = send_some(out.view());
  if (!sent.is_open) return false;
  owner_.shedder().note_sent(sent.bytes);
  if (sent.bytes == out.size()) {
    out.clear();
    return true;
  }
  send_later(out, sent.bytes);
  return false;
}

bool connection::send_with_value(output_buffer& out) noexcept {
  const transfer sent = note_transfer(socket_.send(out.view(), pending_.value_piece()));
  if (!sent.is_open) return false;
  owner_.shedder().note_sent(sent.bytes);
  owner_.shedder().note_detached(owner_.handlers().shared.store.detached_bytes());
  if (sent.bytes == out.size() + pending_.value_bytes()) {
    out.clear();
    pending_.release();
    return true;
  }
  send_later(out, sent.bytes);
  return false;
}

void connection::send_later(output_buffer& out, std::size_t sent) noexcept {
  pending_.keep(out, sent);
  owner_.account_scratch();
  pending_.expect_from(socket_.unacknowledged_bytes());
  enter(phase::sending);
  wait_for(interest::send);
  account_kernel(); // its buffer is full
}

void connection::send_pending() noexcept {
  const transfer sent = send_some(pending_.next());
  if (!sent.is_open || sent.bytes == 0) return;
  if (pending_.has_value()) owner_.shedder().note_sent(sent.bytes);
  if (pending_.note_sent(sent.bytes)) {
    on_all_sent();
    return;
  }
  pending_.expect_from(socket_.unacknowledged_bytes());
  on_taken(sent.bytes); // the queue has become shorter by as much
}

void connection::on_taken(std::size_t bytes) noexcept {
  if (!is_over_limit()) restart_deadline();
  if (pending_.note_taken(bytes)) note_progress();
}

void connection::on_all_sent() noexcept {
  // The next large response needs no new memory then.
  if (output_buffer& scratch = owner_.scratch(); scratch.capacity() < pending_.capacity())
    scratch.swap(pending_.buffer());
  pending_.release();
  owner_.account_scratch();
  give_spare_back();
  phase_ = is_deferring_ ? phase::deferred : phase::serving;
  wait_for(is_deferring_ ? interest::nothing : interest::receive);
  if (deferred_.result)
    respond_deferred();
  else if (!is_deferring_)
    serve();
}

} // namespace kvcache::http
