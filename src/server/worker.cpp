#include "server/worker.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <ctime>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "server/out_of_memory.hpp"

namespace kvcache::http {

namespace asio = boost::asio;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds sweep_interval_max{250};
constexpr milliseconds sweep_interval_min{5};
constexpr milliseconds sweep_interval_draining{20};

// While draining, a connection on which nothing happens is kept this long: the request that its
// peer may have sent a moment ago is answered, not reset.
constexpr milliseconds drain_idle_grace{500};

// What the worker writes replies and decoded bodies into is given back when a large one has made it
// larger than this.
constexpr std::size_t scratch_bytes_kept = std::size_t{256} << 10;

// The allocator keeps what connections free, page by page; it is asked to return it when they hold
// this much less than they did.
constexpr std::size_t trim_threshold_bytes = std::size_t{1} << 20;

// Who has not got on for so long, and holds memory that is short, may be cut.
constexpr std::uint64_t stalled_ms = 500;

// The same where nobody needs that memory yet: the peer may only be kept from running for a while.
constexpr std::uint64_t stalled_long_ms = 2000;

// A response that finds no room waits so long after the last one that has found some; and so long
// at most, whatever others find.
constexpr std::uint64_t room_wait_ms = 500;
constexpr std::uint64_t room_wait_most_ms = 5000;

// Others may free memory, and peers acknowledge, without an event here.
constexpr milliseconds retry_interval{2};

// A look at what the kernel holds is due whenever one part in this many of the cap on all buffers
// has been sent since the last one, besides at each sweep: so much at most can be there unseen.
constexpr std::size_t cap_per_look = 16;

// A look is at connections only that have sent something since the last one, or held something at
// it; in one sweep of so many it is at all, for what a peer sends out of order, which stays with
// the kernel too.
constexpr unsigned sweeps_per_full_look = 16;

// Before trying again to post what cannot be dropped.
constexpr milliseconds out_of_memory_pause{10};

// Often enough for the shortest deadline, and at least for the Date line.
milliseconds sweep_interval(const deadlines& of) noexcept {
  const milliseconds shortest{std::min({of.head_timeout_ms, of.body_timeout_ms, of.idle_timeout_ms,
                                        of.write_timeout_ms, of.linger_timeout_ms})};
  return std::clamp(shortest / 4, sweep_interval_min, sweep_interval_max);
}

constinit const std::atomic<bool> never_wanted{false};

std::unique_ptr<access_recorder> make_recorder(access_log* access, unsigned sample_every) {
  return access == nullptr ? nullptr : std::make_unique<access_recorder>(*access, sample_every);
}

} // namespace

worker::worker(const shared_state& shared, const server_options& options,
               const server_services& services, observe::worker_counters& counters,
               buffer_budget& budget, background run_elsewhere, std::uint64_t seed)
    : shared_(shared),
      options_(options),
      eviction_(services.eviction),
      eviction_wants_help_(eviction_.wanted != nullptr ? *eviction_.wanted : never_wanted),
      budget_(budget),
      background_(std::move(run_elsewhere)),
      sweep_interval_(sweep_interval(options.timeouts)),
      work_(asio::make_work_guard(context_)),
      sweep_timer_(context_),
      retry_timer_(context_),
      sockets_(context_),
      handlers_(shared, counters),
      access_(make_recorder(services.access, options.access_log_sample)),
      coin_(seed) {
  read_clocks();
}

worker::~worker() {
  change_held(scratch_bytes_, 0);
  budget_.change_blocks(pool_bytes_, 0);
}

// What runs in a worker handles its own failures; only Asio itself can lack memory, and goes on
// later.
void worker::run(std::latch& begun) noexcept {
  until_there_is_memory([this] {
    schedule_sweep();
    if (!retry_scheduled_) arm_retry(); // later ones need no more memory than this one
    sockets_.watch();
  });
  begun.count_down();
  until_there_is_memory([this] { context_.run(); });
}

// ---- from other threads --------------------------------------------------------------

std::atomic<std::size_t>& worker::count_of(admission as) noexcept {
  return counts_[static_cast<std::size_t>(as)];
}

void worker::adopt(unique_fd peer, admission as) {
  count_of(as).fetch_add(1, std::memory_order_relaxed);
  try {
    asio::post(context_, [this, adopted = std::move(peer), as]() mutable {
      if (!insert(std::move(adopted), as)) count_of(as).fetch_sub(1, std::memory_order_relaxed);
    });
  } catch (const std::bad_alloc&) {
    count_of(as).fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
}

void worker::begin_drain(drain_clock::time_point end) {
  asio::post(context_, [this, end] {
    read_clocks();
    draining_ = true;
    drain_end_ = end;
    const auto grace = drain_stage(drain_idle_grace, drain_clock::now(), end);
    drain_idle_end_ms_ =
        now_ms_ + static_cast<std::uint64_t>(duration_cast<milliseconds>(grace).count());
    until_there_is_memory([this] { schedule_sweep(); }); // the one under way holds its own still
    finish_if_drained();
  });
}

void worker::stop() {
  asio::post(context_, [this] {
    draining_ = true;
    stopped_ = true;
    abort_all();
    finish_if_drained();
  });
}

// ---- connections ---------------------------------------------------------------------

// False, and the socket closes itself: there is no memory for it, or all has been stopped.
bool worker::insert(unique_fd peer, admission as) noexcept {
  if (stopped_) return false;
  connection* fresh = nullptr;
  try {
    fresh = new (pool_.allocate()) connection(*this, std::move(peer), as);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (as == admission::served) handlers_.counters.add(observe::event::connection_opened);
  connections_.push_back(*fresh);
  account_pool();
  fresh->start();
  retire(*fresh);
  return true;
}

// See retire(): at least one of these is due.
void worker::follow_up(connection& c) noexcept {
  if (c.finished()) bury(c);
  if (has_freed_) {
    has_freed_ = false;
    if (budget_.waiting_workers() <= int{announced_waiting_}) retry_response();
  }
  if (sent_since_look_bytes_ > look_after_bytes_) look_at_kernel(false);
}

void worker::bury(connection& c) noexcept {
  count_of(c.admitted_as()).fetch_sub(1, std::memory_order_relaxed);
  if (c.admitted_as() == admission::served)
    handlers_.counters.add(observe::event::connection_closed);
  connections_.erase(connections_.iterator_to(c));
  c.~connection();
  pool_.deallocate(&c);
  account_pool();
  finish_if_drained();
}

void worker::abort_all() noexcept {
  for (auto next = connections_.begin(); next != connections_.end();) {
    connection& c = *next++;
    c.abort();
    retire(c);
  }
}

void worker::finish_if_drained() noexcept {
  if (!draining_ || !connections_.empty()) return;
  sweep_timer_.cancel();
  sockets_.close();
  work_.reset(); // run() returns when nothing is pending any more
}

// Each worker has an equal share of them.
bool worker::recount_as_refused() noexcept {
  const std::size_t most =
      (options().refused_connections + options().threads - 1) / options().threads;
  if (connection_count(admission::refused) >= most) return false;
  count_of(admission::health_only).fetch_sub(1, std::memory_order_relaxed);
  count_of(admission::refused).fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool worker::may_hold(std::size_t more_bytes) noexcept {
  if (budget_.has_room(more_bytes)) return true;
  shed_stalled(
      false, [&] { return budget_.has_room(more_bytes); }, &worker::has_stalled);
  return budget_.has_room(more_bytes);
}

// Cuts those that have not got on for the longest time until that is enough; those that wait for a
// peer to read come first, the others hold little. Deletes none: events for them may be under way.
template <class Predicate>
void worker::shed_stalled(bool at_rest, Predicate enough, stall_test is_stalled) noexcept {
  for (auto next = holders_.begin(); next != holders_.end() && !enough();) {
    connection& c = *next++;
    if (!(this->*is_stalled)(c.since_ms())) return; // nor have the others
    c.look_for_progress();
    if ((this->*is_stalled)(c.since_ms()) && c.shed(at_rest))
      handlers_.counters.add(observe::event::connection_shed);
  }
}

// The same without patience, where the memory limit is in danger; those that have acknowledged
// something most recently are the last. REQUIRES: no connection is being served.
void worker::shed_until_under_cap() noexcept {
  if (!budget_.is_far_over()) return;
  auto looked_at = holders_.begin();
  for (std::size_t left = holders_.size(); left > 0; --left) {
    connection& c = *looked_at++;
    c.look_for_progress(); // where there is some, it goes to the end
  }
  for (auto next = holders_.begin(); next != holders_.end() && budget_.is_far_over();) {
    connection& c = *next++;
    if (c.shed(true)) handlers_.counters.add(observe::event::connection_shed);
  }
}

// What peers leave unread in the kernel counts like what they leave unread here. REQUIRES: no
// connection is being served.
void worker::look_at_kernel(bool all) noexcept {
  for (connection& each : connections_) each.look_at_kernel(last_look_ms_, all);
  last_look_ms_ = now_ms_;
  shed_stalled(
      true, [this] { return !budget_.is_short(); }, &worker::has_stalled_for_long);
  shed_stalled(
      true, [this] { return !budget_.is_over(); }, &worker::has_stalled);
  shed_until_under_cap();
  const std::size_t cap = budget_.limit_bytes();
  look_after_bytes_ = cap == 0 ? std::numeric_limits<std::size_t>::max() : cap / cap_per_look;
  sent_since_look_bytes_ = 0;
}

bool worker::has_stalled_for_long(std::uint64_t since_ms) const noexcept {
  return now_ms_ >= since_ms + stalled_long_ms;
}

bool worker::has_stalled(std::uint64_t since_ms) const noexcept {
  // `since_ms` may be an interval early.
  return now_ms_ >= since_ms + stalled_ms + static_cast<std::uint64_t>(sweep_interval_.count());
}

void worker::put_last_of_holders(connection& c) noexcept {
  remove_from_holders(c);
  holders_.push_back(c);
  holder_count_.store(holder_count() + 1, std::memory_order_relaxed);
}

void worker::remove_from_holders(connection& c) noexcept {
  if (!c.is_holder()) return;
  holders_.erase(holders_.iterator_to(c));
  holder_count_.store(holder_count() - 1, std::memory_order_relaxed);
}

// ---- waiting for room ----------------------------------------------------------------

room_grant worker::admit(std::size_t bytes, bool first_in_line) noexcept {
  if (!first_in_line && !waiting_for_room_.empty()) return room_grant::none;
  // What the kernel does not take at once is sent later; meanwhile its buffers may be full.
  const bool fits = bytes <= options_.send_buffer_bytes;
  const std::size_t kernel_bytes =
      fits ? 0 : 2 * (options_.send_buffer_bytes + options_.receive_buffer_bytes);
  if (may_hold(bytes + kernel_bytes)) return room_grant::room;
  return budget_.take_spare(bytes) ? room_grant::spare : room_grant::none;
}

void worker::give_spare_back() noexcept {
  budget_.give_spare_back();
  has_freed_ = true;
}

void worker::wait_for_room(connection& c) noexcept {
  note_time();
  waiting_for_room_.push_back(c);
  announce_waiting();
  schedule_retry();
}

void worker::wait_for_peer(connection& c) noexcept {
  waiting_for_peer_.push_back(c);
  schedule_retry();
}

bool worker::has_waited_too_long(std::uint64_t since_ms) const noexcept {
  return now_ms_ >= std::max(since_ms, budget_.last_admission_ms()) + room_wait_ms ||
         now_ms_ >= since_ms + room_wait_most_ms;
}

// Without memory for that, the next sweep does it.
void worker::schedule_retry() noexcept {
  if (retry_scheduled_) return;
  try {
    arm_retry();
  } catch (const std::bad_alloc&) {
  }
}

void worker::arm_retry() {
  retry_timer_.expires_after(retry_interval);
  retry_timer_.async_wait(asio::bind_allocator(handler_allocator<void>(retry_memory_),
                                               [this](const boost::system::error_code& error) {
                                                 retry_scheduled_ = false;
                                                 if (!error) retry();
                                               }));
  retry_scheduled_ = true;
}

void worker::retry() noexcept {
  if (waiting_for_room_.empty() && waiting_for_peer_.empty() && !announced_waiting_) return;
  note_time();
  retry_peers();
  retry_response();
  schedule_retry();
}

// First come, first served: else a large response would wait until nobody asks for a small one.
void worker::retry_response() noexcept {
  while (!waiting_for_room_.empty()) {
    connection& first = waiting_for_room_.front();
    switch (first.retry_response()) {
    case retried::admitted:
      budget_.note_admission(now_ms_);
      break;
    case retried::refused:
      break;
    case retried::waits:
      return;
    }
  }
  announce_waiting();
}

void worker::retry_peers() noexcept {
  // Those that have to wait once more come to the end.
  waiter_list now;
  now.swap(waiting_for_peer_);
  while (!now.empty()) {
    connection& first = now.front();
    now.pop_front();
    first.retry_peer();
  }
}

void worker::announce_waiting() noexcept {
  const bool waits = !waiting_for_room_.empty();
  if (waits == announced_waiting_) return;
  announced_waiting_ = waits;
  budget_.change_waiting_workers(waits ? 1 : -1);
}

void worker::change_held(std::size_t from_bytes, std::size_t to_bytes) noexcept {
  held_bytes_ += to_bytes - from_bytes; // wraps when it shrinks
  if (to_bytes < from_bytes) has_freed_ = announced_waiting_;
  held_bytes_peak_ = std::max(held_bytes_peak_, held_bytes_);
  budget_.change(from_bytes, to_bytes);
}

void worker::change_held_by_kernel(std::size_t from_bytes, std::size_t to_bytes) noexcept {
  budget_.change(from_bytes, to_bytes);
  if (to_bytes < from_bytes) has_freed_ = announced_waiting_;
  if (to_bytes > from_bytes && budget_.is_far_over())
    sent_since_look_bytes_ = std::numeric_limits<std::size_t>::max() / 2; // the next one is due
}

void worker::run_in_background(std::size_t (*work)(const shared_state&) noexcept,
                               std::function<void(std::size_t)> done) {
  background_([this, work, done = std::move(done)] {
    const std::size_t result = work(shared_);
    for (;;) { // somebody waits for it: it must arrive
      try {
        asio::post(context_, [done, result] { done(result); });
        return;
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(out_of_memory_pause);
      }
    }
  });
}

// ---- time ----------------------------------------------------------------------------

std::uint64_t worker::deadline_in_ms(unsigned timeout_ms) const noexcept {
  // The clock may be a whole interval behind.
  return now_ms_ + timeout_ms + static_cast<std::uint64_t>(sweep_interval_.count());
}

void worker::read_clocks() noexcept {
  now_ms_ = static_cast<std::uint64_t>(
      duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
  handlers_.writer.refresh(std::time(nullptr));
}

// Reads the clocks, and notes by how much that is later than it may be. Deadlines set meanwhile
// were counted from the reading before: where this thread, or the whole machine, has stood still,
// they would be over early.
void worker::note_time() noexcept {
  const std::uint64_t before_ms = now_ms_;
  read_clocks();
  const std::uint64_t passed_ms = now_ms_ - before_ms;
  const auto interval_ms = static_cast<std::uint64_t>(sweep_interval_.count());
  if (passed_ms > 2 * interval_ms) late_ms_ += passed_ms - interval_ms;
}

void worker::schedule_sweep() {
  sweep_timer_.expires_after(time_to_sweep());
  sweep_timer_.async_wait(asio::bind_allocator(handler_allocator<void>(timer_memory_),
                                               [this](const boost::system::error_code& error) {
                                                 if (!error) sweep();
                                               }));
}

// While draining, the last sweep is due at the end itself. After it, only a flush is waited for.
steady_clock::duration worker::time_to_sweep() const noexcept {
  if (!draining_) return sweep_interval_;
  const steady_clock::duration left = drain_end_ - steady_clock::now();
  return left > left.zero() ? std::min<steady_clock::duration>(left, sweep_interval_draining)
                            : sweep_interval_draining;
}

void worker::sweep() noexcept {
  note_time();
  const std::uint64_t late_ms = std::exchange(late_ms_, 0);
  look_at_kernel(++sweeps_ % sweeps_per_full_look == 0);
  for (auto next = connections_.begin(); next != connections_.end();) {
    connection& c = *next++;
    c.sweep(late_ms);
    retire(c);
  }
  if (!retry_scheduled_) retry();
  give_memory_back();
  if (draining_ && steady_clock::now() >= drain_end_) abort_all();
  if (draining_ && connections_.empty())
    finish_if_drained();
  else
    schedule_sweep();
}

void worker::account_pool() noexcept {
  const std::size_t bytes = pool_.resident_bytes();
  if (bytes == pool_bytes_) return;
  budget_.change_blocks(pool_bytes_, bytes);
  pool_bytes_ = bytes;
}

void worker::account_scratch() noexcept {
  const std::size_t bytes =
      scratch_.capacity() + handlers_.body.bytes() + handlers_.query.capacity();
  if (bytes == scratch_bytes_) return;
  change_held(scratch_bytes_, bytes);
  scratch_bytes_ = bytes;
}

void worker::give_memory_back() noexcept {
  pool_.trim();
  account_pool();
  account_scratch(); // as it has grown: what has been there is what the allocator has
  if (scratch_.capacity() > scratch_bytes_kept) scratch_.release();
  for (std::string* decoded : {&handlers_.body.key, &handlers_.body.value, &handlers_.query})
    if (decoded->capacity() > scratch_bytes_kept) std::string{}.swap(*decoded);
  account_scratch();
  if (held_bytes_peak_ - held_bytes_ < trim_threshold_bytes) return;
  held_bytes_peak_ = held_bytes_;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// ---- latency -------------------------------------------------------------------------

void worker::batch_begin() noexcept {
  sampled_ = coin_.toss();
  if (sampled_ || access_ != nullptr) batch_start_ = steady_clock::now();
  if (access_) access_->batch_begin();
}

void worker::batch_end() noexcept {
  const bool counts = sampled_ && (handlers_.batch_gets != 0 || handlers_.batch_puts != 0);
  if (counts || access_ != nullptr) {
    const auto duration = duration_cast<nanoseconds>(steady_clock::now() - batch_start_);
    const auto took = static_cast<std::uint64_t>(duration.count());
    if (access_) access_->batch_end(duration);
    observe::worker_counters& counters = handlers_.counters;
    if (counts && handlers_.batch_gets != 0)
      counters.get_latency().record_n(took, handlers_.batch_gets);
    if (counts && handlers_.batch_puts != 0)
      counters.put_latency().record_n(took, handlers_.batch_puts);
  }
  if (eviction_wants_help_.load(std::memory_order_relaxed)) [[unlikely]] {
    take_part_in_eviction();
  }
  handlers_.batch_gets = 0;
  handlers_.batch_puts = 0;
  handlers_.batch_ns.reset();
}

[[gnu::noinline]] void worker::take_part_in_eviction() noexcept {
  const std::size_t requests = handlers_.batch_gets + handlers_.batch_puts;
  if (requests != 0) eviction_.take_part(requests);
}

} // namespace kvcache::http
