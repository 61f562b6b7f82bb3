#include "server/load_shedder.hpp"

#include <algorithm>
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace kvcache::http {
namespace {

// A connection without progress for so long, which holds memory that is short, may be closed.
constexpr std::uint64_t stalled_ms = 500;

// The same while nobody needs that memory yet: the peer may only be kept from running for a while.
constexpr std::uint64_t stalled_long_ms = 2000;

// One reading per sixteenth of the cap that has been sent: more cannot be held unnoticed.
constexpr std::size_t readings_per_cap = 16;

// The allocator keeps what connections free, page by page. It is asked to return it when they hold
// this much less than they did.
constexpr std::size_t trim_threshold_bytes = std::size_t{1} << 20;

} // namespace

bool load_shedder::may_hold(std::size_t more_bytes) noexcept {
  const auto fits = [&] { return budget_.has_room(more_bytes); };
  if (!fits()) shed_stalled(false, stalled_ms, fits);
  return fits();
}

bool load_shedder::has_stalled(std::uint64_t since_ms) const noexcept {
  return clock_.has_passed(since_ms, stalled_ms);
}

void load_shedder::change_held(std::size_t from_bytes, std::size_t to_bytes) noexcept {
  held_bytes_ += to_bytes - from_bytes; // wraps when it shrinks
  has_freed_ = has_freed_ || to_bytes < from_bytes;
  peak_held_bytes_ = std::max(peak_held_bytes_, held_bytes_);
  budget_.change(from_bytes, to_bytes);
}

void load_shedder::change_held_by_kernel(std::size_t from_bytes, std::size_t to_bytes) noexcept {
  budget_.change(from_bytes, to_bytes);
  has_freed_ = has_freed_ || to_bytes < from_bytes;
  if (to_bytes > from_bytes && budget_.is_far_over())
    sent_bytes_ = std::numeric_limits<std::size_t>::max() / 2; // a reading is due
}

void load_shedder::put_last(connection& c) noexcept {
  remove(c);
  holders_.push_back(c);
  holder_count_.store(holder_count() + 1, std::memory_order_relaxed);
}

void load_shedder::remove(connection& c) noexcept {
  if (!c.is_holder()) return;
  holders_.erase(holders_.iterator_to(c));
  holder_count_.store(holder_count() - 1, std::memory_order_relaxed);
}

// Closes those without progress for the longest time until that is enough. Deletes none: events for
// them may be in progress.
template <class Enough>
void load_shedder::shed_stalled(bool at_rest, std::uint64_t time_ms, Enough enough) noexcept {
  for (auto next = holders_.begin(); next != holders_.end() && !enough();) {
    connection& c = *next++;
    if (!clock_.has_passed(c.since_ms(), time_ms)) return; // nor have the others
    c.check_progress();
    if (clock_.has_passed(c.since_ms(), time_ms) && c.shed(at_rest))
      counters_.add(observe::event::connection_shed);
  }
}

// The same without patience, if the memory limit is in danger; those with recent progress last.
void load_shedder::shed_until_out_of_danger() noexcept {
  if (!budget_.is_far_over()) return;
  auto next = holders_.begin();
  for (std::size_t left = holders_.size(); left > 0; --left)
    (*next++).check_progress(); // progress moves it to the end
  for (next = holders_.begin(); next != holders_.end() && budget_.is_far_over();) {
    connection& c = *next++;
    if (c.shed(true)) counters_.add(observe::event::connection_shed);
  }
}

void load_shedder::read_kernel(connection_list& connections, bool all) noexcept {
  for (connection& each : connections) each.read_kernel(last_reading_ms_, all);
  last_reading_ms_ = clock_.now_ms();
  shed_stalled(true, stalled_long_ms, [this] { return !budget_.is_short(); });
  shed_stalled(true, stalled_ms, [this] { return !budget_.is_over(); });
  shed_until_out_of_danger();
  const std::size_t cap = budget_.limit_bytes();
  read_after_bytes_ = cap == 0 ? std::numeric_limits<std::size_t>::max() : cap / readings_per_cap;
  sent_bytes_ = 0;
}

void load_shedder::trim_heap() noexcept {
  if (peak_held_bytes_ - held_bytes_ < trim_threshold_bytes) return;
  peak_held_bytes_ = held_bytes_;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

} // namespace kvcache::http
