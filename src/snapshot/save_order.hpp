// The order in which entries are saved, hottest first: by the ranks of eviction (hit_density.hpp),
// in a few bands, since each band costs a walk over all entries. A few hot entries have a band of
// their own, however much the others take.
//
// Entries are classified by uses and age, neither of which changes for one that is not used. What
// is used while the snapshot is made belongs to a band of its own, which is saved last, whether it
// has been saved before or not.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstdint>

#include "cache/entry_meta.hpp"
#include "cache/reuse_counts.hpp"

namespace kvcache::snapshot {

class save_order {
public:
  static constexpr unsigned bands = 12; // of what was last used before `begun`

  // `begun`: the first epoch after the snapshot was begun.
  save_order(const by_use_and_age<int>& ranks, epoch begun) noexcept
      : ranks_(ranks), begun_(begun) {}

  void count(entry_meta meta, std::uint64_t bytes) noexcept {
    if (!is_used_since(meta)) bytes_[meta.uses()][age_bucket_of(age_before(meta))] += bytes;
  }
  void divide() noexcept; // by what has been counted, before the first band_of()

  // `bands` for an entry that was used since.
  unsigned band_of(entry_meta meta) const noexcept {
    return is_used_since(meta) ? bands : band_of_[meta.uses()][age_bucket_of(age_before(meta))];
  }

  // Epochs from the last access to the beginning of the snapshot, or 0.
  epoch age_before(entry_meta meta) const noexcept { return age_of(meta, begun_); }

private:
  bool is_used_since(entry_meta meta) const noexcept {
    return ((meta.stamp() - begun_) & entry_meta::stamp_mask) <= entry_meta::stamp_mask / 2;
  }

  const by_use_and_age<int> ranks_;
  const epoch begun_;
  by_use_and_age<std::uint64_t> bytes_{};
  by_use_and_age<std::uint8_t> band_of_{};
};

} // namespace kvcache::snapshot
