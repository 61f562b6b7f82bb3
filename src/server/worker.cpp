#include "server/worker.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <ctime>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "server/out_of_memory.hpp"

namespace kvcache::http {

namespace asio = boost::asio;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds sweep_interval_max{250};
constexpr milliseconds sweep_interval_min{5};
constexpr milliseconds sweep_interval_draining{20};

// While draining, an idle connection is kept this long, so that a request which its peer may have
// sent a moment ago is answered rather than reset.
constexpr milliseconds drain_idle_grace{500};

// A larger buffer for responses or decoded bodies is freed at the next sweep.
constexpr std::size_t scratch_bytes_kept = std::size_t{256} << 10;

// A reading of the kernel's memory covers only connections that have sent something since the last
// one, or held something then. One in so many covers all, for input that peers send out of order,
// which the kernel holds, too.
constexpr unsigned sweeps_per_full_reading = 16;

// Before trying again to post what cannot be dropped.
constexpr milliseconds out_of_memory_pause{10};

// Short enough for the shortest deadline, and for the Date field.
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
      sockets_(context_),
      handlers_(shared, counters),
      clock_(sweep_interval_),
      shedder_(budget, clock_, counters),
      responses_(context_, options, budget, clock_, shedder_),
      turns_(context_),
      // The analyzer does not follow the unique_ptr.
      // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
      access_(make_recorder(services.access, options.access_log_sample)),
      timer_(handlers_, access_.get(), seed) {
  handlers_.writer.refresh(std::time(nullptr));
  handlers_.may_hold = [this](std::size_t bytes) { return shedder_.may_hold(bytes); };
}

worker::~worker() {
  shedder_.change_held(scratch_bytes_, 0);
  budget_.change_blocks(pool_bytes_, 0);
}

// Whatever runs in a worker handles its own failures. Only Asio itself can lack memory, and it
// continues later.
void worker::run(std::latch& begun) noexcept {
  until_there_is_memory([this] {
    schedule_sweep();
    responses_.prepare();
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
    clock_.read();
    draining_ = true;
    drain_end_ = end;
    const auto grace = drain_stage(drain_idle_grace, drain_clock::now(), end);
    drain_idle_end_ms_ =
        clock_.now_ms() + static_cast<std::uint64_t>(duration_cast<milliseconds>(grace).count());
    until_there_is_memory([this] { schedule_sweep(); }); // the current one still holds its memory
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

// False: there is no memory for it, or the worker has been stopped. The socket is closed then.
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
  if (c.finished()) destroy(c);
  if (shedder_.take_freed()) responses_.on_freed();
  if (shedder_.reading_is_due()) shedder_.read_kernel(connections_, false);
}

void worker::destroy(connection& c) noexcept {
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
  work_.reset(); // run() returns when nothing is pending
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

void worker::run_in_background(deferred_work::result (*work)(const shared_state&) noexcept,
                               std::function<void(const deferred_work::result&)> done) {
  background_([this, work, done = std::move(done)] {
    const deferred_work::result result = work(shared_);
    for (;;) { // a connection waits for it
      try {
        asio::post(context_, [done, result] { done(result); });
        return;
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(out_of_memory_pause);
      }
    }
  });
}

// ---- sweeps --------------------------------------------------------------------------

void worker::schedule_sweep() {
  sweep_timer_.expires_after(time_to_sweep());
  sweep_timer_.async_wait(asio::bind_allocator(handler_allocator<void>(sweep_memory_),
                                               [this](const boost::system::error_code& error) {
                                                 if (!error) sweep();
                                               }));
}

// While draining, the last sweep is due at the end itself. After it, only deferred work is waited
// for.
steady_clock::duration worker::time_to_sweep() const noexcept {
  if (!draining_) return sweep_interval_;
  const steady_clock::duration left = drain_end_ - steady_clock::now();
  return left > left.zero() ? std::min<steady_clock::duration>(left, sweep_interval_draining)
                            : sweep_interval_draining;
}

void worker::sweep() noexcept {
  clock_.read();
  handlers_.writer.refresh(std::time(nullptr));
  const std::uint64_t late_ms = clock_.take_late_ms();
  const std::uint64_t number = sweeps() + 1;
  sweeps_.store(number, std::memory_order_relaxed);
  shedder_.read_kernel(connections_, number % sweeps_per_full_reading == 0);
  for (auto next = connections_.begin(); next != connections_.end();) {
    connection& c = *next++;
    c.sweep(late_ms);
    retire(c);
  }
  responses_.retry_if_unscheduled();
  turns_.schedule();
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
  const std::size_t bytes = scratch_.capacity() + handlers_.body.bytes() +
                            handlers_.query.capacity() + handlers_.batches.held_bytes();
  if (bytes == scratch_bytes_) return;
  shedder_.change_held(scratch_bytes_, bytes);
  scratch_bytes_ = bytes;
}

void worker::give_memory_back() noexcept {
  pool_.trim();
  account_pool();
  account_scratch(); // at its largest, which is what the allocator holds
  if (scratch_.capacity() > scratch_bytes_kept) scratch_.release();
  for (std::string* decoded : {&handlers_.body.key, &handlers_.body.value, &handlers_.query})
    if (decoded->capacity() > scratch_bytes_kept) std::string{}.swap(*decoded);
  handlers_.batches.trim();
  account_scratch();
  shedder_.trim_heap();
}

// ---- batches -------------------------------------------------------------------------

void worker::take_part_in_eviction() noexcept {
  const std::size_t requests = handlers_.batch_gets + handlers_.batch_puts + handlers_.batch_others;
  if (requests != 0) eviction_.take_part(requests);
}

} // namespace kvcache::http
