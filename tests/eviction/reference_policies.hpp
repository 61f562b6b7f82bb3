// The textbook policies, exact and slow, that ours are measured against: a cache of so many
// entries, read through (look it up; store it on a miss). Keys are numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace kvcache::test {

using key_id = std::uint32_t;

// Exact LRU, or FIFO if an access changes nothing.
class list_policy {
public:
  enum class order : std::uint8_t { lru, fifo };
  list_policy(std::size_t entries_max, order by) : entries_max_(entries_max), by_(by) {}

  bool access(key_id key) {
    if (const auto found = where_.find(key); found != where_.end()) {
      if (by_ == order::lru) entries_.splice(entries_.begin(), entries_, found->second);
      return true;
    }
    if (where_.size() == entries_max_) {
      where_.erase(entries_.back());
      entries_.pop_back();
    }
    entries_.push_front(key);
    where_[key] = entries_.begin();
    return false;
  }

private:
  std::size_t entries_max_;
  order by_;
  std::list<key_id> entries_;
  std::unordered_map<key_id, std::list<key_id>::iterator> where_;
};

// CLOCK with counters up to `references_max` (1: one bit, 3: two bits), inserted with 0.
class clock_policy {
public:
  clock_policy(std::size_t entries_max, unsigned references_max)
      : entries_max_(entries_max), references_max_(references_max) {}

  bool access(key_id key) {
    if (const auto found = where_.find(key); found != where_.end()) {
      unsigned& references = ring_[found->second].references;
      if (references < references_max_) ++references;
      return true;
    }
    if (ring_.size() < entries_max_) {
      where_[key] = ring_.size();
      ring_.push_back({key, 0});
      return false;
    }
    while (ring_[hand_].references > 0) {
      --ring_[hand_].references;
      hand_ = (hand_ + 1) % entries_max_;
    }
    where_.erase(ring_[hand_].key);
    where_[key] = hand_;
    ring_[hand_] = {key, 0};
    hand_ = (hand_ + 1) % entries_max_;
    return false;
  }

private:
  struct slot {
    key_id key;
    unsigned references;
  };
  std::size_t entries_max_;
  unsigned references_max_;
  std::vector<slot> ring_;
  std::size_t hand_ = 0;
  std::unordered_map<key_id, std::size_t> where_;
};

// S3-FIFO (Yang et al., SOSP 2023): a small queue of a tenth, a main queue, and the keys that left
// the small one, as many as there are entries in the main one.
class s3_fifo_policy {
public:
  explicit s3_fifo_policy(std::size_t entries_max)
      : entries_max_(entries_max), small_max_(std::max<std::size_t>(entries_max / 10, 1)) {}

  bool access(key_id key) {
    if (const auto found = uses_.find(key); found != uses_.end()) {
      if (found->second < max_uses) ++found->second;
      return true;
    }
    while (uses_.size() >= entries_max_) evict();
    uses_[key] = 0;
    (ghosts_.erase(key) != 0 ? main_ : small_).push_front(key);
    return false;
  }

private:
  static constexpr unsigned max_uses = 3;

  void evict() {
    if (small_.size() >= small_max_ || main_.empty()) {
      evict_from_small();
    } else {
      evict_from_main();
    }
  }
  void evict_from_small() {
    const key_id key = take_last(small_);
    if (uses_[key] > 1) {
      uses_[key] = 0;
      main_.push_front(key);
      return;
    }
    uses_.erase(key);
    if (!ghosts_.insert(key).second) return;
    ghost_order_.push_front(key);
    while (ghost_order_.size() > entries_max_ - small_max_) ghosts_.erase(take_last(ghost_order_));
  }
  void evict_from_main() {
    const key_id key = take_last(main_);
    if (uses_[key] == 0) {
      uses_.erase(key);
      return;
    }
    --uses_[key];
    main_.push_front(key);
  }
  static key_id take_last(std::deque<key_id>& queue) {
    const key_id last = queue.back();
    queue.pop_back();
    return last;
  }

  std::size_t entries_max_;
  std::size_t small_max_;
  std::unordered_map<key_id, unsigned> uses_; // of all entries
  std::deque<key_id> small_;                  // the newest first
  std::deque<key_id> main_;
  std::unordered_set<key_id> ghosts_;
  std::deque<key_id> ghost_order_;
};

} // namespace kvcache::test
