// The part of entry_index that replaces tables: growth, shrinking, draining. See index.cpp.
#include <algorithm>
#include <array>
#include <functional>
#include <new>
#include <type_traits>

#include "cache/index.hpp"
#include "cache/index_segment.hpp"
#include "cache/thread_cpu_time.hpp"

namespace kvcache {
namespace {

// A table is replaced by a smaller one that it would fill to less than this; well below
// grow_percent, so that it does not soon grow again.
constexpr unsigned shrink_percent = 75;
// Two segments are merged if they would fill a table of the split shape to less than this.
constexpr unsigned merge_percent = 70;
// The highest load of the table that replaces one, or two, when shrinking.
constexpr unsigned settle_percent = 80;
// The highest load of all tables together at their largest. Entries fall on segments at random: at
// this mean the fullest of 2^17 stays below grow_percent by more than six standard deviations.
constexpr unsigned capacity_percent = 85;

// Segments that one call of maintain() checks: some microseconds.
constexpr unsigned positions_per_call = 64;

// After the kernel has refused memory for a table, so many requests for a larger one are refused
// without asking it: building and destroying half of a split costs more than the PUT itself.
constexpr unsigned growths_refused_at_once = 16;

} // namespace

// ---- table sizes ----------------------------------------------------------------------

entry_index::table_layout entry_index::layout_of(unsigned shape) const noexcept {
  return table_layout::of(shape, limits_.packed_shape);
}

// At least what a table of this shape takes: both arrays and a few small objects of libcuckoo.
std::size_t entry_index::table_bytes(unsigned shape) const noexcept {
  constexpr std::size_t small_objects = 512;
  const table_layout layout = layout_of(shape);
  return allocated_bytes(layout.slots_bytes()) + allocated_bytes(layout.locks_bytes()) +
         small_objects + sizeof(table_of<8>);
}

unsigned entry_index::smallest_shape_for(std::size_t entries) const noexcept {
  unsigned shape = 0;
  while (shape < largest_shape() &&
         entries > percent_of(layout_of(shape).slots(), settle_percent)) {
    ++shape;
  }
  return shape;
}

std::size_t entry_index::max_entries() const noexcept {
  return percent_of(layout_of(largest_shape()).slots() << limits_.largest_depth, capacity_percent);
}

std::size_t entry_index::growth_step_bytes(std::uint32_t hash) const noexcept {
  const unsigned shape = shape_and_depth(hash).first;
  return shape < largest_shape() ? table_bytes(shape + 1) : 2 * table_bytes(split_shape());
}

// ---- growing --------------------------------------------------------------------------

entry_index::replacement entry_index::grow(std::uint32_t hash, unsigned seen_shape,
                                           unsigned seen_depth) noexcept {
  if (const unsigned left = growths_to_refuse_.load(std::memory_order_relaxed); left != 0) {
    growths_to_refuse_.store(left - 1, std::memory_order_relaxed);
    return replacement::out_of_memory;
  }
  const longest_step measured{longest_step_ns_};
  replacement outcome = replacement::at_maximum;
  if (seen_shape < largest_shape()) {
    outcome = enlarge(hash, seen_shape, seen_depth);
  } else if (seen_depth < limits_.largest_depth) {
    outcome = split(hash, seen_shape, seen_depth, split_shape());
  }
  if (outcome == replacement::out_of_memory) {
    growths_to_refuse_.store(growths_refused_at_once, std::memory_order_relaxed);
  }
  return outcome;
}

entry_index::replacement entry_index::enlarge(std::uint32_t hash, unsigned seen_shape,
                                              unsigned seen_depth) noexcept {
  table fresh;
  if (const auto built = build(seen_shape + 1, charging::within_limit, fresh);
      built != replacement::done) {
    return built;
  }
  table obsolete = fresh;
  replacement outcome = replacement::done;
  segment& s = lock_exclusive(hash);
  if (s.slots.shape == seen_shape && s.depth == seen_depth) { // else another thread was faster
    if (copy_slots(s.slots, fresh)) {
      obsolete = s.slots;
      s.set_table(fresh, s.count.load(std::memory_order_relaxed));
    } else {
      outcome = replacement::at_maximum;
    }
  }
  s.lock.unlock();
  destroy(obsolete);
  if (obsolete.map != fresh.map) growths_.fetch_add(1, std::memory_order_relaxed);
  return outcome;
}

// `shape`: of both halves.
entry_index::replacement entry_index::split(std::uint32_t hash, unsigned seen_shape,
                                            unsigned seen_depth, unsigned shape) noexcept {
  table low;
  table high;
  if (const auto built = build(shape, charging::within_limit, low); built != replacement::done) {
    return built;
  }
  if (const auto built = build(shape, charging::within_limit, high); built != replacement::done) {
    destroy(low);
    return built;
  }
  replacement outcome = replacement::done;
  segment& s = lock_exclusive(hash);
  const bool unchanged = s.slots.shape == seen_shape && s.depth == seen_depth;
  std::uint32_t high_count = 0;
  const bool copied = unchanged && distribute_slots(s.slots, s.depth, low, high, high_count);
  if (copied) {
    const table obsolete = s.slots;
    s.set_table(low, s.count.load(std::memory_order_relaxed) - high_count);
    publish_split(s, high, high_count);
    s.lock.unlock();
    destroy(obsolete);
    growths_.fetch_add(1, std::memory_order_relaxed);
    return outcome;
  }
  s.lock.unlock();
  destroy(low);
  destroy(high);
  return unchanged ? replacement::at_maximum : outcome;
}

// Half of what `low` covered goes to a new segment. REQUIRES: low.lock held exclusively.
void entry_index::publish_split(segment& low, const table& high,
                                std::uint32_t high_count) noexcept {
  segment* unused = nullptr;
  {
    spin_guard guard{structure_lock_};
    unused = &unused_segment();
  }
  segment& other = *unused;
  other.lock.lock(); // nobody else can want it: it is not in the directory yet
  spin_guard guard{structure_lock_};
  const unsigned last = last_position_.load(std::memory_order_relaxed);
  only_segment_.store(nullptr, std::memory_order_relaxed);
  if (low.mask == last) { // double the directory: both halves point to the same segments at first
    for (unsigned i = 0; i <= last; ++i) {
      directory_[last + 1 + i].store(directory_[i].load(std::memory_order_relaxed),
                                     std::memory_order_relaxed);
    }
    last_position_.store(2 * last + 1, std::memory_order_release);
  }
  other.cover(low.prefix | 1U << low.depth, low.depth + 1);
  other.set_table(high, high_count);
  low.cover(low.prefix, other.depth);
  point_directory(other.prefix, other.depth, &other);
  other.lock.unlock();
}

void entry_index::point_directory(unsigned prefix, unsigned depth, segment* to) noexcept {
  const unsigned last = last_position_.load(std::memory_order_relaxed);
  for (unsigned i = prefix; i <= last; i += 1U << depth) {
    directory_[i].store(to, std::memory_order_release);
  }
}

entry_index::segment& entry_index::unused_segment() noexcept {
  if (unused_ != nullptr) {
    segment& s = *unused_;
    unused_ = s.next_unused;
    return s;
  }
  assert(segments_made_ < max_segments); // each covers at least one directory position
  budget_.charge(sizeof(segment));
  bytes_.fetch_add(sizeof(segment), std::memory_order_relaxed);
  return *new (&segments_[segments_made_++]) segment;
}

// Splits small tables at once, instead of enlarging them first. A position that a split adds is
// behind all others, so the loop reaches it, too.
void entry_index::reserve(std::size_t entries) noexcept {
  const std::size_t most = percent_of(layout_of(split_shape()).slots(), settle_percent);
  unsigned deepest = 0;
  while (deepest < limits_.largest_depth && entries >> deepest > most) ++deepest;
  const unsigned shape = smallest_shape_for(entries >> deepest);
  for (unsigned position = 0; position <= last_position_.load(std::memory_order_relaxed);
       ++position) {
    const std::uint32_t hash = hash_at(position);
    for (;;) {
      const auto [seen_shape, seen_depth] = shape_and_depth(hash);
      replacement outcome = replacement::done;
      if (seen_depth < deepest)
        outcome = split(hash, seen_shape, seen_depth, seen_depth + 1 == deepest ? shape : 0);
      else if (seen_shape < shape)
        outcome = enlarge(hash, seen_shape, seen_depth);
      else
        break;
      if (outcome != replacement::done) return;
    }
  }
}

std::pair<unsigned, unsigned> entry_index::shape_and_depth(std::uint32_t hash) const noexcept {
  const shared_segment s{*this, hash};
  return {s->slots.shape, s->depth};
}

// ---- shrinking ------------------------------------------------------------------------

bool entry_index::maintain() noexcept {
  const unsigned positions = last_position_.load(std::memory_order_acquire) + 1;
  for (unsigned i = 0; i < positions_per_call; ++i) {
    const unsigned position = maintain_at_++ % positions;
    if (merge(position) || shrink(position)) {
      maintain_idle_ = 0;
      return true;
    }
    if (++maintain_idle_ >= positions) {
      maintain_idle_ = 0;
      return false;
    }
  }
  return true;
}

bool entry_index::shrink(unsigned position) noexcept {
  segment& s = *directory_[position].load(std::memory_order_acquire);
  s.lock.lock_shared();
  const unsigned shape = s.slots.shape;
  const bool canonical = s.slots.map != nullptr && s.prefix == position;
  const std::size_t count = s.count.load(std::memory_order_relaxed);
  s.lock.unlock_shared();
  const auto too_large = [this](unsigned of_shape, std::size_t entries) {
    return of_shape > 0 && entries <= percent_of(layout_of(of_shape - 1).slots(), shrink_percent);
  };
  if (!canonical || !too_large(shape, count)) return false;

  const longest_step measured{longest_step_ns_};
  table fresh;
  if (build(smallest_shape_for(count), charging::always, fresh) != replacement::done) return false;
  table obsolete = fresh;
  s.lock.lock();
  if (s.slots.shape == shape && too_large(shape, s.count.load(std::memory_order_relaxed)) &&
      copy_slots(s.slots, fresh)) {
    obsolete = s.slots;
    s.set_table(fresh, s.count.load(std::memory_order_relaxed));
  }
  s.lock.unlock();
  destroy(obsolete);
  if (obsolete.map == fresh.map) return false;
  shrinks_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Whether two segments with so many entries together should be one.
bool entry_index::merges(std::size_t entries) const noexcept {
  return entries <= percent_of(layout_of(split_shape()).slots(), merge_percent);
}

bool entry_index::merge(unsigned position) noexcept {
  segment& low = *directory_[position].load(std::memory_order_acquire);
  low.lock.lock_shared();
  const unsigned depth = low.depth;
  const bool mergeable = low.slots.map != nullptr && low.prefix == position &&
                         depth > limits_.initial_depth && position < 1U << (depth - 1);
  const std::size_t low_count = low.count.load(std::memory_order_relaxed);
  low.lock.unlock_shared();
  if (!mergeable || !merges(low_count)) return false;

  segment& high = *directory_[position | 1U << (depth - 1)].load(std::memory_order_acquire);
  high.lock.lock_shared();
  const bool as_deep = high.slots.map != nullptr && high.depth == depth;
  high.lock.unlock_shared();
  if (!as_deep) return false; // it has been split further
  const auto sum = [&] {
    return std::size_t{low.count.load(std::memory_order_relaxed)} +
           high.count.load(std::memory_order_relaxed);
  };
  if (&low == &high || !merges(sum())) return false;

  const longest_step measured{longest_step_ns_};
  table fresh;
  if (build(smallest_shape_for(sum()), charging::always, fresh) != replacement::done) return false;
  segment& first = std::less<>{}(&low, &high) ? low : high; // one order for all
  segment& second = &first == &low ? high : low;
  first.lock.lock();
  second.lock.lock();
  const bool done = low.slots.map != nullptr && high.slots.map != nullptr && low.depth == depth &&
                    high.depth == depth && merges(sum()) && copy_slots(low.slots, fresh) &&
                    copy_slots(high.slots, fresh);
  std::array<table, 2> obsolete{fresh, table{}};
  if (done) {
    obsolete = {low.slots, high.slots};
    low.set_table(fresh, static_cast<std::uint32_t>(sum()));
    spin_guard guard{structure_lock_};
    point_directory(high.prefix, depth, &low);
    low.cover(low.prefix, depth - 1);
    if (low.depth == 0) only_segment_.store(&low, std::memory_order_release);
    high.leave_unused();
    high.next_unused = unused_;
    unused_ = &high;
  }
  second.lock.unlock();
  first.lock.unlock();
  for (const table& old : obsolete) {
    if (old.map != nullptr) destroy(old);
  }
  if (done) shrinks_.fetch_add(1, std::memory_order_relaxed);
  return done;
}

std::size_t entry_index::drain(function_ref<void(entry_handle)> take) noexcept {
  std::size_t taken = 0;
  for (unsigned i = 0; i <= last_position_.load(std::memory_order_acquire); ++i) {
    for (;;) {
      segment& s = *directory_[i].load(std::memory_order_acquire);
      s.lock.lock_shared();
      const bool covers = s.covers(i);
      const bool canonical = s.prefix == i;
      s.lock.unlock_shared();
      if (!covers) continue; // it was split meanwhile: look again
      if (canonical) taken += empty(s, take);
      break;
    }
  }
  return taken;
}

// Puts a small, empty table in place of the segment's; what was in the old one is then the caller's
// alone, and is taken out while others go on.
std::size_t entry_index::empty(segment& s, function_ref<void(entry_handle)> take) noexcept {
  std::size_t taken = 0;
  const auto take_all = [&](const table& from) {
    with_table(from, [&](auto& t) {
      t.all_slots([&](std::uint32_t /*hash*/, entry_handle handle) {
        take(handle);
        ++taken;
        return true;
      });
      t.map.clear();
    });
  };
  table fresh;
  const bool built = build(0, charging::always, fresh) == replacement::done;
  s.lock.lock();
  const table old = s.slots;
  if (built) {
    s.set_table(fresh, 0);
  } else { // no memory even for that: others of the segment must wait
    take_all(old);
    s.count.store(0, std::memory_order_relaxed);
  }
  s.lock.unlock();
  if (built) {
    take_all(old);
    destroy(old);
  }
  return taken;
}

// ---- tables ---------------------------------------------------------------------------

// REQUIRES (copying): the segments' locks are held exclusively, the target is not in use.
bool entry_index::copy_slots(const table& from, const table& to) noexcept {
  return with_table(from, [&](auto& source) {
    return with_table(to, [&](auto& target) {
      return source.all_slots(
          [&](std::uint32_t hash, entry_handle handle) { return target.add(hash, handle); });
    });
  });
}

bool entry_index::distribute_slots(const table& from, unsigned depth, const table& low,
                                   const table& high, std::uint32_t& high_count) noexcept {
  return with_table(from, [&](auto& source) {
    return with_table(low, [&]<class Table>(Table& low_half) {
      auto& high_half = *static_cast<Table*>(high.map); // of the same shape
      return source.all_slots([&](std::uint32_t hash, entry_handle handle) {
        const bool goes_high = (directory_bits(hash) >> depth & 1U) != 0;
        high_count += goes_high ? 1 : 0;
        return (goes_high ? high_half : low_half).add(hash, handle);
      });
    });
  });
}

entry_index::replacement entry_index::build(unsigned shape, charging how, table& fresh) noexcept {
  const table_layout layout = layout_of(shape);
  const auto make = [&]<class Table>(std::type_identity<Table>) -> replacement {
    const std::size_t charged = table_bytes(shape);
    if (how == charging::always) {
      budget_.charge(charged);
    } else if (!budget_.try_charge(charged)) {
      return replacement::over_limit;
    }
    void* memory = source_.allocate(sizeof(Table));
    try {
      if (memory == nullptr) throw std::bad_alloc{};
      const auto* made = new (memory) Table{source_, layout.slots()};
      const std::size_t bytes = made->account.bytes + sizeof(Table);
      assert(bytes <= charged);
      budget_.refund(charged - bytes);
      bytes_.fetch_add(bytes, std::memory_order_relaxed);
      fresh = {memory, shape, layout.bucket_slots};
      return replacement::done;
    } catch (const std::bad_alloc&) {
      if (memory != nullptr) source_.deallocate(memory, sizeof(Table));
      budget_.refund(charged);
      return replacement::out_of_memory;
    }
  };
  switch (layout.bucket_slots) {
  case 4:
    return make(std::type_identity<table_of<4>>{});
  case 5:
    return make(std::type_identity<table_of<5>>{});
  case 6:
    return make(std::type_identity<table_of<6>>{});
  case 8:
    return make(std::type_identity<table_of<8>>{});
  default:
    return make(std::type_identity<table_of<9>>{});
  }
}

void entry_index::destroy(const table& old) noexcept {
  with_table(old, [&]<class Table>(Table& t) {
    const std::size_t bytes = t.account.bytes + sizeof(Table);
    t.~Table();
    source_.deallocate(&t, sizeof(Table));
    budget_.refund(bytes);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  });
}

} // namespace kvcache
