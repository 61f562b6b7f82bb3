#include "eviction/evictor.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "cache/memory_source.hpp"
#include "cache/thread_cpu_time.hpp"
#include "kvcache/coarse_clock.hpp"

namespace kvcache {

namespace {

constexpr std::uint64_t ns_per_us = 1000;

// Processor time after which the thread yields. The last step of a slice, begun just before, may
// take as long again; half a millisecond is promised.
constexpr std::uint64_t slice_ns = 200 * ns_per_us;

// The time that one call of store::maintain() may take, besides its last step.
constexpr unsigned maintain_us = 100;

// The parts of the interval that one run may spend, in processor time, on compaction, and as much
// on collecting expired entries; and on compaction where the store's free blocks make memory short.
constexpr unsigned unhurried_one_in = 4;
constexpr unsigned urgent_one_in = 2;

// The sweep visits each entry about once in a minute: in a run as many as belong to its interval,
// within these bounds for a tenth of a second. As many slots again are visited ahead, in slabs that
// are known to hold expired entries, and more while one in so many of them has expired.
constexpr std::uint64_t sweep_ms = 60'000;
constexpr std::uint64_t sweep_bounds_ms = 100;
constexpr std::uint64_t min_sweep_slots = 64;
constexpr std::uint64_t max_sweep_slots = 65'536;
constexpr std::size_t sweep_pays_at_one_in = 8;
constexpr std::size_t least_unpaid_slots = 2048; // the first slots of a slab may be free

// The most that an index of the right size takes.
constexpr std::size_t index_bytes_per_entry_max = 24;
constexpr std::size_t smallest_index_bytes = 64 << 10;

// From a reading in the emergency to the one that confirms it, or one interval if that is shorter.
// Long enough for the memory of a short-lived process to be free again, and a fraction of the time
// in which a busy neighbour gets from the emergency mark to the limit.
constexpr std::chrono::milliseconds confirm_after{20};

// The same where use is about to reach the limit: under a processor quota a longer pause may end
// only in the next quota period.
constexpr std::chrono::milliseconds confirm_near_limit_after{5};

// The most that is done between two readings, in evictions and in time: a limit may rise meanwhile,
// and others may grow. On a shared processor, time passes without work.
constexpr std::size_t max_evictions_per_reading = 65'536;
constexpr std::uint64_t longest_reading_age_ns = 50'000 * ns_per_us;
constexpr unsigned purge_slices_per_reading = 64;
constexpr std::uint64_t longest_reading_age_in_purge_ns = 10'000 * ns_per_us;

// Steps of a purge, of up to 64 entries each, in one slice: 100 to 200 us.
constexpr unsigned purge_steps_per_slice = 8;

// Where the kernel has refused memory, a level higher by such a part, or a MiB, is tried after so
// many ticks of the store's clock.
constexpr tick ticks_between_probes = 5 * ticks_per_second;
constexpr std::uint64_t probed_part = 64;
constexpr std::uint64_t least_probed_bytes = std::uint64_t{1} << 20;

// While content is below such a part of the hold limit, no entry will soon be evicted by its age,
// and an epoch lasts so many accesses at least: otherwise each access to a small cache would write
// the cache line that workers share.
constexpr std::uint64_t ages_matter_from_one_in = 16;
constexpr std::uint32_t epoch_accesses_meanwhile = 1024;

pressure_tier tier_of(eviction_cause cause, pressure_tier as_read) {
  // A purge continues to its target even if a reading before its end is below the mark.
  if (cause == eviction_cause::emergency) return pressure_tier::emergency;
  const bool for_bytes = cause == eviction_cause::lru || cause == eviction_cause::clock;
  return for_bytes && as_read == pressure_tier::normal ? pressure_tier::pressure : as_read;
}

} // namespace

std::optional<std::string> find_fault(const evictor_options& options) {
  if (options.interval_ms < eviction_interval_least_ms ||
      options.interval_ms > eviction_interval_most_ms) {
    return "--eviction-interval-ms must be from " + std::to_string(eviction_interval_least_ms) +
           " to " + std::to_string(eviction_interval_most_ms) + ", not " +
           std::to_string(options.interval_ms);
  }
  return find_fault(options.pressure);
}

evictor::evictor(store& entries, const evictor_options& options, evictor_surroundings surroundings)
    : store_(entries),
      options_(options),
      surroundings_(std::move(surroundings)),
      expired_(entries, options.threads + 1),
      clock_(entries, options.threads + 1),
      lru_(entries, options.threads + 1),
      purge_(entries, options.threads + 1),
      sweep_(entries) {}

// ---- the periodic run ----------------------------------------------------------------

void evictor::run() noexcept {
  store_.set_epoch_accesses(epoch_accesses());
  try {
    apply_control_law();
  } catch (const std::bad_alloc&) {
    // No memory for a path: the last decision stands until the next run.
    const std::lock_guard lock(status_mutex_);
    ++status_.failed_readings;
  }
  wants_help_.store(false, std::memory_order_relaxed);
  purge_.end();
  size_ghosts();
  if (tier_.load(std::memory_order_relaxed) == pressure_tier::normal) lru_.pause();
  compact();
  collect_expired();
}

void evictor::apply_control_law() {
  bool again = false;
  constexpr std::size_t no_level = SIZE_MAX;
  std::size_t purging = no_level;  // the level that a purge under way is for
  std::uint64_t used_at_purge = 0; // of that level, when it began
  do {
    const std::uint64_t held_before = store_.held_bytes();
    const std::uint64_t buffers = surroundings_.buffer_bytes ? surroundings_.buffer_bytes() : 0;
    const memory_report& report = surroundings_.read_memory(held_before + buffers);
    const std::uint64_t elapsed = elapsed_us();
    own_bytes own = measure_own();
    own.buffers = buffers;
    // Pages returned while the reading was taken must not look like the use of others.
    own.held = std::max(own.held, held_before);

    woken_at_mark_.store(false, std::memory_order_relaxed);
    const pressure_verdict verdict =
        decide_for_all(report.levels, own, options_.pressure, histories_, elapsed);
    const pressure_decision& decision = verdict.decision;
    const pressure_tier before = tier_.exchange(decision.tier, std::memory_order_relaxed);
    const growth_bounds bounds = bounds_of_growth(report.levels, own, options_.pressure);
    spared_content_bytes_.store(bounds.content, std::memory_order_relaxed);
    const std::uint64_t refused_at = level_of_refusal(bounds.held);
    hold_ceiling_bytes_.store(std::min(bounds.held, refused_at), std::memory_order_relaxed);
    holds_too_much_ = bounds.holds_too_much;
    const std::uint64_t hold_limit =
        hold_limit_bytes(report.levels, own, decision.tier, options_.pressure);
    store_.set_hold_limit_bytes(std::min(hold_limit, refused_at));
    publish(report, own, verdict);
    if (surroundings_.on_reading) surroundings_.on_reading();
    if (report.estimate_began && surroundings_.on_estimate) {
      surroundings_.on_estimate(report.fullest_level());
    }
    if (decision.tier == pressure_tier::emergency) store_.ghosts().resize(0);
    has_room_for_ghosts_ = std::ranges::all_of(report.levels, [&](const memory_reading& level) {
      const auto& marks = options_.pressure;
      return level.used_bytes <
             level.limit_bytes / 200 * (marks.pressure_percent + marks.emergency_percent);
    });
    if (before != decision.tier && surroundings_.on_tier_change) {
      surroundings_.on_tier_change(
          {.from = before, .to = decision.tier, .reading = report.levels[verdict.decisive]});
    }
    // A purge continues down to the allowance, even if a reading before its end is below the mark.
    const std::uint64_t left_to_purge =
        purging < report.levels.size() ? over_allowance(report.levels[purging], own) : 0;
    const std::uint64_t wanted = std::max(decision.evict_bytes, left_to_purge);
    const bool urgent = decision.tier == pressure_tier::emergency || left_to_purge != 0;
    if (decision.purge && purging != verdict.decisive) {
      purging = verdict.decisive;
      used_at_purge = report.levels[purging].used_bytes;
    }
    const bool falls_behind =
        left_to_purge != 0 && report.levels[purging].used_bytes > used_at_purge;
    const bool hurried = falls_behind || decision.nears_limit;
    is_hurried_.store(hurried, std::memory_order_relaxed);
    const bool done = urgent ? purge(wanted, hurried) : evict(wanted);
    if (done) purging = no_level;
    if (decision.confirm && purging == no_level && surroundings_.pause) {
      surroundings_.pause(std::min(decision.nears_limit ? confirm_near_limit_after : confirm_after,
                                   std::chrono::milliseconds(options_.interval_ms)));
    }
    again = decision.confirm || purging != no_level ||
            (!done && decision.tier == pressure_tier::emergency);
  } while (again);
}

// Since the last call; for the first, and where there is no clock, an interval.
std::uint64_t evictor::elapsed_us() noexcept {
  const std::uint64_t interval_us = std::uint64_t{options_.interval_ms} * 1000;
  if (!surroundings_.now_ns) return interval_us;
  const std::uint64_t before = std::exchange(read_at_ns_, surroundings_.now_ns());
  return before == 0 ? interval_us : (read_at_ns_ - before) / ns_per_us;
}

bool evictor::reading_is_older_than(std::uint64_t ns) const noexcept {
  return surroundings_.now_ns && surroundings_.now_ns() - read_at_ns_ > ns;
}

// On a shared processor, or under a quota, a little work can take long.
bool evictor::is_next_reading_due() const noexcept {
  const bool emergency = tier_.load(std::memory_order_relaxed) == pressure_tier::emergency;
  return reading_is_older_than(emergency ? longest_reading_age_in_purge_ns
                                         : part_of_interval_ns(1));
}

// The level at which the kernel refused memory. It is raised step by step and dropped at the
// ceiling, since the cause may have ended; the next refusal sets it again.
std::uint64_t evictor::level_of_refusal(std::uint64_t ceiling) noexcept {
  std::uint64_t level = refused_at_bytes_.load(std::memory_order_relaxed);
  const tick now = store_.now();
  if (level == never_refused ||
      now - refused_at_.load(std::memory_order_relaxed) < ticks_between_probes) {
    return level;
  }
  refused_at_.store(now, std::memory_order_relaxed);
  const std::uint64_t higher = level + std::max(level / probed_part, least_probed_bytes);
  refused_at_bytes_.compare_exchange_strong(level, higher < ceiling ? higher : never_refused,
                                            std::memory_order_relaxed);
  return refused_at_bytes_.load(std::memory_order_relaxed);
}

std::uint64_t evictor::over_allowance(const memory_reading& level,
                                      const own_bytes& own) const noexcept {
  return own.content - std::min(own.content, allowance_bytes(level, own, options_.pressure));
}

std::uint32_t evictor::epoch_accesses() const noexcept {
  const std::uint32_t fine = epoch_accesses_for(store_.size());
  const bool ages_matter = store_.entries_limited() ||
                           content_bytes() >= store_.hold_limit_bytes() / ages_matter_from_one_in;
  return ages_matter ? fine : std::max(fine, epoch_accesses_meanwhile);
}

own_bytes evictor::measure_own() const noexcept {
  return {.held = store_.held_bytes(), .content = content_bytes()};
}

std::uint64_t evictor::room_to_mark_bytes() const noexcept {
  if (tier_.load(std::memory_order_relaxed) != pressure_tier::normal) return 0;
  const std::uint64_t most = spared_content_bytes_.load(std::memory_order_relaxed);
  return most - std::min(most, content_bytes());
}

std::uint64_t evictor::content_bytes() const noexcept {
  // An index that is too large for its entries, as after a purge, is about to shrink. The surplus
  // is not content, or entries would be evicted for it.
  const std::size_t index_due = store_.size() * index_bytes_per_entry_max + smallest_index_bytes;
  return store_.live_bytes() + std::min(store_.table_bytes(), index_due) + store_.ghost_bytes();
}

std::uint64_t evictor::part_of_interval_ns(unsigned one_in) const noexcept {
  return std::uint64_t{options_.interval_ms} * 1000 * ns_per_us / one_in;
}

void evictor::publish(const memory_report& report, const own_bytes& own,
                      const pressure_verdict& verdict) {
  const pressure_decision& decision = verdict.decision;
  const memory_reading& shown =
      report
          .levels[level_to_show(report.levels, verdict.decisive, decision.tier, options_.pressure)];
  const std::lock_guard lock(status_mutex_);
  if (status_.tier != decision.tier) {
    status_.evictions = evictions_by_tier();
    status_.tier = decision.tier;
    ++status_.tier_changes;
  }
  status_.reading = shown;
  status_.estimated = report.estimated;
  status_.allowance_bytes = allowance_bytes(shown, own, options_.pressure);
  status_.purges += decision.purge ? 1 : 0;
}

// Calls `work` until it returns false (then false), or for the length of a slice.
template <class Work>
bool evictor::in_slice(Work&& work) {
  const std::uint64_t begin_ns = surroundings_.thread_cpu_ns();
  std::uint64_t length_ns = 0;
  bool more = true;
  do {
    more = work();
    length_ns = surroundings_.thread_cpu_ns() - begin_ns;
  } while (more && length_ns < slice_ns);
  const std::lock_guard lock(status_mutex_);
  status_.last_slice_ns = length_ns;
  status_.longest_slice_ns = std::max(status_.longest_slice_ns, length_ns);
  return more;
}

// Calls `work` until it returns false, and yields after every slice.
template <class Work>
void evictor::in_slices(Work&& work) {
  while (in_slice(work)) std::this_thread::yield();
}

// The index shrinks a little later than the entries: its share must not be evicted as well.
std::uint64_t evictor::blocks_of(std::uint64_t content) const noexcept {
  const auto live = static_cast<double>(store_.live_bytes());
  const auto index = static_cast<double>(store_.index_bytes());
  return static_cast<std::uint64_t>(static_cast<double>(content) * live / (live + index));
}

// False if memory must be read again before the rest is evicted.
bool evictor::evict(std::uint64_t bytes) noexcept {
  if (bytes == 0) return true;
  const std::uint64_t wanted = blocks_of(bytes);
  std::uint64_t freed = 0;
  std::size_t evictions = 0;
  bool more = true;
  const auto evict_some = [&] {
    std::size_t block = expired_.evict_one().bytes;
    if (block == 0 && !spares_living(0)) block = evict_least_recent();
    freed += block;
    more = block != 0 && freed < wanted;
    return more && ++evictions < max_evictions_per_reading;
  };
  while (in_slice(evict_some)) {
    if (reading_is_older_than(longest_reading_age_ns)) break;
    std::this_thread::yield();
  }
  return !more;
}

// The same in an emergency: memory is returned to the kernel at once, tables included. `hurried`:
// no time is left for moving entries or for yielding.
bool evictor::purge(std::uint64_t bytes, bool hurried) noexcept {
  if (bytes == 0) return true;
  using sparing = slab_purge::sparing;
  purge_.aim(blocks_of(bytes), hurried ? sparing::last_epoch : sparing::youngest_third);
  wants_help_.store(true, std::memory_order_relaxed);
  for (unsigned slices = 0; slices < purge_slices_per_reading; ++slices) {
    unsigned steps = 0;
    bool more = true;
    in_slice([&] {
      more = purge_.step();
      return more && ++steps < purge_steps_per_slice;
    });
    in_slice([&] {
      store_.shrink_index();
      return false;
    });
    if (!more) return true;
    if (reading_is_older_than(longest_reading_age_in_purge_ns)) break;
    if (!hurried) std::this_thread::yield();
  }
  return false;
}

// As many ghosts as entries under pressure, while use is below the middle of the two marks: after
// an emergency they would otherwise take what was just freed. A table of another size starts empty,
// so it follows larger changes only. It is given up where it is no longer needed.
void evictor::size_ghosts() noexcept {
  ghost_table& ghosts = store_.ghosts();
  const std::size_t entries = store_.size();
  const std::size_t capacity = ghosts.capacity();
  const pressure_tier tier = tier_.load(std::memory_order_relaxed);
  const bool fits = capacity >= entries / 2 && capacity / 2 <= entries;
  if (tier == pressure_tier::pressure && has_room_for_ghosts_ && !fits) ghosts.resize(entries);
  if (tier == pressure_tier::normal && capacity / 4 > entries) ghosts.resize(0);
}

void evictor::compact() noexcept {
  const std::uint64_t begin_ns = surroundings_.thread_cpu_ns();
  const std::uint64_t budget_ns =
      part_of_interval_ns(holds_too_much_ ? urgent_one_in : unhurried_one_in);
  // Each call is a slice of its own, since replacing a table takes most of one.
  for (bool more = true; more;) {
    in_slices([&] {
      more = store_.maintain(maintain_us, holds_too_much_);
      return false;
    });
    more = more && surroundings_.thread_cpu_ns() - begin_ns < budget_ns && !is_next_reading_due();
    if (more) std::this_thread::yield();
  }
}

void evictor::collect_expired() noexcept {
  const std::uint64_t interval_ms = options_.interval_ms;
  const std::uint64_t least = min_sweep_slots * interval_ms / sweep_bounds_ms;
  const std::uint64_t most = max_sweep_slots * interval_ms / sweep_bounds_ms;
  const std::size_t share = std::clamp(store_.size() * interval_ms / sweep_ms, least, most);
  std::size_t slots = 0;
  in_slices([&] { // each batch may evict all its entries and return slabs
    sweep_.advance(hand_batch_slots);
    slots += hand_batch_slots;
    return slots < share && !is_next_reading_due();
  });
  const std::uint64_t begin_ns = surroundings_.thread_cpu_ns();
  std::size_t unpaid_slots = 0;
  in_slices([&] {
    const expiry_sweep::batch done = sweep_.advance_to_expired();
    if (done.evicted * sweep_pays_at_one_in < done.slots) unpaid_slots += done.slots;
    return !done.lap_done && unpaid_slots < share + least_unpaid_slots && !is_next_reading_due() &&
           surroundings_.thread_cpu_ns() - begin_ns < part_of_interval_ns(unhurried_one_in);
  });
}

// The store counts evictions by cause only. Those since the last change of tier belong to the
// present tier, but evictions of living entries for bytes always count as pressure: a PUT may meet
// it before a reading does.
tier_cause_counts evictor::evictions_by_tier() const noexcept {
  tier_cause_counts counts = status_.evictions;
  const cache_stats now = store_.stats();
  for (std::size_t cause = 0; cause < eviction_cause_count; ++cause) {
    std::uint64_t before = 0;
    for (const auto& of_tier : counts) before += of_tier[cause];
    counts[static_cast<std::size_t>(tier_of(static_cast<eviction_cause>(cause), status_.tier))]
          [cause] += now.evictions[cause] - before;
  }
  return counts;
}

eviction_status evictor::status() const {
  const std::lock_guard lock(status_mutex_);
  eviction_status status = status_;
  status.evictions = evictions_by_tier();
  status.hold_limit_bytes = store_.hold_limit_bytes(); // PUTs may raise it
  return status;
}

namespace {
std::uint64_t steady_now_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}
} // namespace

evictor_surroundings system_surroundings(memory_monitor& monitor) {
  return {
      .read_memory = [&monitor](std::uint64_t own) -> const memory_report& {
        return monitor.read(own);
      },
      .thread_cpu_ns = [] { return thread_cpu_ns(); },
      .buffer_bytes = {},
      .wake = {},
      .on_tier_change = {},
      .on_estimate = {},
      .pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); },
      .now_ns = steady_now_ns,
  };
}

} // namespace kvcache
