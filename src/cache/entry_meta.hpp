// The first word of every entry: flags that describe its layout, and what may change while it
// lives. A plain value; entry.hpp loads and stores it.
//
//   bit  0       live: the block holds a complete entry (0 in a free or unfinished block)
//   bit  1       has_expiry: a tick follows the lengths, which may be `never`
//   bit  2       extended: the lengths did not fit their word and follow as two words
//   bits 3..4    references: 2-bit counter for CLOCK, 0 at insertion, raised by hits, lowered by
//                the hand
//   bits 5..6    mark: kept for the cache's user, who gives it a meaning
//   bits 7..8    uses: accesses since the insertion, at most 3, never lowered; an entry whose key
//                was evicted not long ago starts above 0 (ghost_table.hpp)
//   bits 9..31   stamp: the epoch of the last access, modulo 2^23 (compare with age(), never
//                with <)
//
// The flags never change while the entry lives; the mark only when its value does. References, uses
// and stamp are hints: an update lost to a race only costs a little eviction quality.
#pragma once

#include <cstdint>

namespace kvcache {

// The logical clock of accesses (access_clock.hpp); only its low 23 bits are stored.
using epoch = std::uint32_t;

class entry_meta {
public:
  static constexpr unsigned max_references = 3;
  static constexpr unsigned references_per_access = 2;
  static constexpr unsigned max_mark = 3;
  static constexpr unsigned max_uses = 3;
  static constexpr unsigned stamp_bits = 23;
  static constexpr epoch stamp_mask = (epoch{1} << stamp_bits) - 1;

  constexpr entry_meta() noexcept = default; // not live
  constexpr explicit entry_meta(std::uint32_t bits) noexcept : bits_(bits) {}

  // The word of a new entry: live, never referenced, accessed now.
  static constexpr entry_meta for_new_entry(epoch now, bool has_expiry, bool extended,
                                            unsigned mark = 0) noexcept {
    return entry_meta{live_bit | (has_expiry ? expiry_bit : 0U) | (extended ? extended_bit : 0U)}
        .with_mark(mark)
        .with_stamp(now);
  }

  constexpr std::uint32_t bits() const noexcept { return bits_; }
  constexpr bool live() const noexcept { return (bits_ & live_bit) != 0; }
  constexpr bool has_expiry() const noexcept { return (bits_ & expiry_bit) != 0; }
  constexpr bool extended() const noexcept { return (bits_ & extended_bit) != 0; }
  constexpr unsigned references() const noexcept {
    return (bits_ >> reference_shift) & max_references;
  }
  constexpr unsigned mark() const noexcept { return (bits_ >> mark_shift) & max_mark; }
  constexpr unsigned uses() const noexcept { return (bits_ >> uses_shift) & max_uses; }
  constexpr epoch stamp() const noexcept { return bits_ >> stamp_shift; }

  constexpr bool accessed_in(epoch now) const noexcept { return stamp() == (now & stamp_mask); }

  // Epochs since the last access, correct across a wrap-around of the epoch.
  constexpr epoch age(epoch now) const noexcept { return (now - stamp()) & stamp_mask; }

  constexpr entry_meta with_references(unsigned count) const noexcept {
    return entry_meta{(bits_ & ~(max_references << reference_shift)) |
                      ((count & max_references) << reference_shift)};
  }
  constexpr entry_meta with_mark(unsigned mark) const noexcept {
    return entry_meta{(bits_ & ~(max_mark << mark_shift)) | (mark & max_mark) << mark_shift};
  }
  constexpr entry_meta with_uses(unsigned count) const noexcept {
    return entry_meta{(bits_ & ~(max_uses << uses_shift)) | (count & max_uses) << uses_shift};
  }
  constexpr entry_meta with_stamp(epoch now) const noexcept {
    return entry_meta{(bits_ & ((1U << stamp_shift) - 1)) | ((now & stamp_mask) << stamp_shift)};
  }

  // After an access in epoch `now`. Accesses in the epoch of the insertion, or in an epoch that
  // already counted one, change nothing: accesses that close together predict little, and readers
  // of hot entries must not all write. An access that counts is worth two rounds of the hand, which
  // gives a higher hit ratio on replayed traces than one (bench/hit_ratio).
  constexpr entry_meta touched(epoch now) const noexcept {
    if (accessed_in(now)) return *this;
    const unsigned raised = references() + references_per_access;
    return with_references(raised < max_references ? raised : max_references)
        .with_uses(uses_after())
        .with_stamp(now);
  }

  constexpr unsigned uses_after() const noexcept { return uses() < max_uses ? uses() + 1 : uses(); }

  // After the hand has passed.
  constexpr entry_meta aged() const noexcept {
    return with_references(references() == 0 ? 0 : references() - 1);
  }

  friend constexpr bool operator==(entry_meta, entry_meta) noexcept = default;

private:
  static constexpr std::uint32_t live_bit = 1U << 0;
  static constexpr std::uint32_t expiry_bit = 1U << 1;
  static constexpr std::uint32_t extended_bit = 1U << 2;
  static constexpr unsigned reference_shift = 3;
  static constexpr unsigned mark_shift = 5;
  static constexpr unsigned uses_shift = 7;
  static constexpr unsigned stamp_shift = 32 - stamp_bits;

  std::uint32_t bits_ = 0;
};

// Epochs since an entry was accessed; 0 for a stamp that seems to lie ahead, which a racing access
// can leave. Half the range of stamps lies ahead, so expiry_sweep renews the stamps of old entries
// in time.
constexpr epoch age_of(entry_meta meta, epoch now) noexcept {
  const epoch age = meta.age(now);
  return age > entry_meta::stamp_mask / 2 ? 0 : age;
}

} // namespace kvcache
