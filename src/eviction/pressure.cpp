#include "eviction/pressure.hpp"

#include <algorithm>
#include <tuple>

namespace kvcache {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

// A tier is left only when use has fallen this far below where it was entered.
constexpr unsigned hysteresis_percent = 2;

// Shares of the band that may be evicted in usual_elapsed_us: just above its lower end, and at its
// upper end.
constexpr double gentlest_share = 0.005;
constexpr double fastest_share = 0.05;

// The rate falls as eviction lowers E; longer times are integrated in steps of this length. Others
// are assumed to take half of what is evicted meanwhile.
constexpr std::uint64_t law_step_us = 10'000;
constexpr double net_share_of_evicted = 0.5;

// One reading can be a glitch, and a purge cannot be undone.
constexpr unsigned readings_to_confirm = 2;

// The position of the store's mark in the band (72 % of L with the default options), and the
// position up to which unused free blocks may stretch it in the normal tier (75 %) and in the
// others (73 %).
constexpr double mark_share = 0.08;
constexpr double stretch_share_normal = 0.20;
constexpr double stretch_share_pressed = 0.12;

// The same while content is below its allowance (90 %).
constexpr double stretch_share_below_mark = 0.80;

// How far ahead use is predicted: a common period of processor quotas, in which a daemon that has
// used up its share gets nothing.
constexpr std::uint64_t predicted_us = 100'000;

// Free blocks are notable from this part of the limit on; any store has fewer.
constexpr std::uint64_t notable_free_part = 64;

// A store needs a few pages for each size of entry: a percentage of a tiny limit would not suffice.
constexpr std::uint64_t smallest_floor_bytes = mib;

std::uint64_t percent_of(std::uint64_t bytes, unsigned percent) noexcept {
  return bytes / 100 * percent + bytes % 100 * percent / 100;
}

std::uint64_t less(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a - b : 0; }

std::uint64_t share_of(std::uint64_t bytes, double share) noexcept {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * share);
}

// One level's figures, in the letters of the header.
struct level {
  level(const memory_reading& reading, const own_bytes& own,
        const pressure_options& options) noexcept
      : use(reading.used_bytes),
        limit(reading.limit_bytes),
        pressure_mark(percent_of(limit, options.pressure_percent)),
        emergency_mark(percent_of(limit, options.emergency_percent)),
        band(emergency_mark - pressure_mark),
        not_content(less(use, own.held + own.buffers) + own.buffers),
        effective_use(not_content + own.content),
        allowance(std::max(less(pressure_mark, not_content), floor_bytes(limit, options))),
        excess(less(own.content, allowance)) {}

  std::uint64_t use;
  std::uint64_t limit;
  std::uint64_t pressure_mark;
  std::uint64_t emergency_mark;
  std::uint64_t band;
  std::uint64_t not_content;   // O + B
  std::uint64_t effective_use; // E
  std::uint64_t allowance;     // A, or the floor
  std::uint64_t excess;
};

pressure_tier next_tier(const level& at, pressure_tier before, std::uint64_t hysteresis) noexcept {
  const std::uint64_t danger = std::max(at.use, at.effective_use);
  const bool was_emergency = before == pressure_tier::emergency;
  if (danger >= (was_emergency ? less(at.emergency_mark, hysteresis) : at.emergency_mark)) {
    return pressure_tier::emergency;
  }
  // Left only when U is low as well: until free pages have been returned, E alone would oscillate.
  const bool stays =
      before != pressure_tier::normal &&
      (at.effective_use > less(at.pressure_mark, hysteresis) || at.use > at.pressure_mark);
  if (stays || at.effective_use > at.pressure_mark) return pressure_tier::pressure;
  return pressure_tier::normal;
}

// Whether use is closer to the limit than to the emergency mark, or soon will be at its present
// rate. A rise within less than a step counts as one of a whole step.
bool nears_limit(const level& at, const pressure_history& before,
                 std::uint64_t elapsed_us) noexcept {
  const bool measured = before.tier == pressure_tier::emergency;
  const std::uint64_t rise = measured ? less(at.use, before.used_bytes) : 0;
  const auto predicted = static_cast<double>(rise) * static_cast<double>(predicted_us) /
                         static_cast<double>(std::max(elapsed_us, law_step_us));
  const std::uint64_t midway = at.emergency_mark + (at.limit - at.emergency_mark) / 2;
  return static_cast<double>(at.use) + predicted >= static_cast<double>(midway);
}

// The bytes to evict in the elapsed time: more, the higher E is in the band.
std::uint64_t share_bytes(const level& at, std::uint64_t elapsed_us) noexcept {
  const auto band = static_cast<double>(std::max<std::uint64_t>(at.band, 1));
  const auto above_mark = static_cast<double>(less(at.effective_use, at.pressure_mark));
  double evicted = 0;
  for (std::uint64_t left_us = std::min(elapsed_us, longest_elapsed_us); left_us != 0;) {
    const std::uint64_t step_us = std::min(left_us, law_step_us);
    const double way = std::clamp((above_mark - net_share_of_evicted * evicted) / band, 0.0, 1.0);
    const double share = gentlest_share + (fastest_share - gentlest_share) * way * way;
    evicted += band * share * static_cast<double>(step_us) / static_cast<double>(usual_elapsed_us);
    left_us -= step_us;
  }
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(evicted), 1);
}

// The use up to which free blocks may stretch a mark.
std::uint64_t ceiling_bytes(const level& at) noexcept {
  return at.pressure_mark + share_of(at.band, stretch_share_below_mark);
}

// Even at the floor, holding more must not raise use beyond the emergency mark.
std::uint64_t held_at_emergency_mark(const level& at, const own_bytes& own) noexcept {
  return own.held + less(at.emergency_mark, at.use);
}

std::uint64_t mark_bytes(const level& at, const own_bytes& own, pressure_tier tier,
                         const pressure_options& options) noexcept {
  const double stretch_share =
      tier == pressure_tier::normal ? stretch_share_normal : stretch_share_pressed;
  const std::uint64_t mark = at.pressure_mark + share_of(at.band, mark_share);
  const std::uint64_t stretch = at.pressure_mark + share_of(at.band, stretch_share);
  const std::uint64_t free_room = less(own.held, own.content);
  std::uint64_t wanted = std::min(mark + free_room, stretch);
  if (tier != pressure_tier::emergency && at.effective_use <= at.pressure_mark) {
    wanted = std::max(wanted, std::min(at.pressure_mark + free_room, ceiling_bytes(at)));
  }
  const std::uint64_t hold = std::max(less(wanted, at.not_content), floor_bytes(at.limit, options));
  return std::min(hold, held_at_emergency_mark(at, own));
}

std::string in_mib(std::uint64_t bytes) { return std::to_string((bytes + mib - 1) / mib) + " MiB"; }

} // namespace

std::optional<std::string> find_fault(const pressure_options& options) {
  if (options.pressure_percent < 10 || options.pressure_percent > 95) {
    return "--pressure-percent must be from 10 to 95, not " +
           std::to_string(options.pressure_percent);
  }
  if (options.emergency_percent < 11 || options.emergency_percent > 98) {
    return "--emergency-percent must be from 11 to 98, not " +
           std::to_string(options.emergency_percent);
  }
  if (options.pressure_percent >= options.emergency_percent) {
    return "--pressure-percent (" + std::to_string(options.pressure_percent) +
           ") must be below --emergency-percent (" + std::to_string(options.emergency_percent) +
           ")";
  }
  if (options.floor_percent < 1 || options.floor_percent >= options.pressure_percent) {
    return "--floor-percent must be from 1 to below --pressure-percent (" +
           std::to_string(options.pressure_percent) + "), not " +
           std::to_string(options.floor_percent);
  }
  return std::nullopt;
}

pressure_decision decide(const memory_reading& reading, const own_bytes& own,
                         const pressure_options& options, const pressure_history& history,
                         std::uint64_t elapsed_us) noexcept {
  const level at(reading, own, options);
  pressure_decision decision;
  decision.tier = next_tier(at, history.tier, percent_of(at.limit, hysteresis_percent));
  decision.history.tier = decision.tier;
  decision.history.used_bytes = at.use;
  decision.nears_limit =
      decision.tier == pressure_tier::emergency && nears_limit(at, history, elapsed_us);
  if (decision.tier == pressure_tier::normal) return decision;

  // The excess is 0 up to 70 % and at the floor: then no entry is evicted in any tier.
  decision.evict_bytes = std::min(at.excess, share_bytes(at, elapsed_us));
  if (std::max(at.use, at.effective_use) < at.emergency_mark || at.excess == 0) return decision;

  const unsigned readings = history.emergency_readings + 1;
  decision.purge = readings >= readings_to_confirm;
  decision.confirm = !decision.purge;
  if (decision.purge) decision.evict_bytes = at.excess;
  decision.history.emergency_readings = decision.purge ? 0 : readings;
  return decision;
}

pressure_verdict decide_for_all(std::span<const memory_reading> levels, const own_bytes& own,
                                const pressure_options& options,
                                std::vector<pressure_history>& histories,
                                std::uint64_t elapsed_us) {
  if (histories.size() != levels.size()) histories.assign(levels.size(), {});
  pressure_verdict verdict;
  const auto severity = [&](std::size_t i, const pressure_decision& decided) {
    const level at(levels[i], own, options);
    return std::tuple(decided.tier, decided.evict_bytes,
                      static_cast<double>(std::max(at.use, at.effective_use)) /
                          static_cast<double>(at.limit));
  };
  std::optional<decltype(severity(0, {}))> severest;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const pressure_decision here = decide(levels[i], own, options, histories[i], elapsed_us);
    histories[i] = here.history;
    pressure_decision& all = verdict.decision;
    all.tier = std::max(all.tier, here.tier);
    all.evict_bytes = std::max(all.evict_bytes, here.evict_bytes);
    all.purge = all.purge || here.purge;
    all.confirm = all.confirm || here.confirm;
    all.nears_limit = all.nears_limit || here.nears_limit;
    const auto severity_here = severity(i, here);
    if (severest && severity_here <= *severest) continue;
    severest = severity_here;
    verdict.decisive = i;
  }
  return verdict;
}

std::uint64_t hold_limit_bytes(std::span<const memory_reading> levels, const own_bytes& own,
                               pressure_tier tier, const pressure_options& options) noexcept {
  std::uint64_t lowest = UINT64_MAX;
  for (const memory_reading& reading : levels) {
    lowest = std::min(lowest, mark_bytes(level(reading, own, options), own, tier, options));
  }
  return std::max<std::uint64_t>(lowest, 1);
}

growth_bounds bounds_of_growth(std::span<const memory_reading> levels, const own_bytes& own,
                               const pressure_options& options) noexcept {
  growth_bounds all{.content = UINT64_MAX, .held = UINT64_MAX};
  const std::uint64_t free_room = less(own.held, own.content);
  for (const memory_reading& reading : levels) {
    const level at(reading, own, options);
    all.content = std::min(all.content, at.allowance);
    all.held = std::min(
        {all.held, less(ceiling_bytes(at), at.not_content), held_at_emergency_mark(at, own)});
    all.holds_too_much = all.holds_too_much ||
                         (at.use > at.pressure_mark + share_of(at.band, stretch_share_normal) &&
                          free_room > at.limit / notable_free_part);
  }
  return all;
}

std::uint64_t allowance_bytes(const memory_reading& reading, const own_bytes& own,
                              const pressure_options& options) noexcept {
  return level(reading, own, options).allowance;
}

std::size_t level_to_show(std::span<const memory_reading> levels, std::size_t decisive,
                          pressure_tier tier, const pressure_options& options) noexcept {
  if (tier != pressure_tier::normal) return decisive;
  const auto left = [&](std::size_t i) {
    return less(percent_of(levels[i].limit_bytes, options.pressure_percent), levels[i].used_bytes);
  };
  std::size_t nearest = decisive;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (left(i) < left(nearest)) nearest = i;
  }
  return nearest;
}

std::uint64_t floor_bytes(std::uint64_t limit_bytes, const pressure_options& options) noexcept {
  return std::max(percent_of(limit_bytes, options.floor_percent), smallest_floor_bytes);
}

std::optional<std::string> find_limit_too_small(std::span<const memory_reading> levels,
                                                std::uint64_t resident_bytes,
                                                const pressure_options& options) {
  for (const memory_reading& reading : levels) {
    if (resident_bytes < percent_of(reading.limit_bytes, options.emergency_percent)) continue;
    return "the memory limit of " + in_mib(reading.limit_bytes) + " (" + reading.source +
           ") leaves no room for entries: the empty server needs " + in_mib(resident_bytes);
  }
  return std::nullopt;
}

} // namespace kvcache
