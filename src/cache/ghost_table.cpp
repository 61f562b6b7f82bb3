#include "cache/ghost_table.hpp"

#include <algorithm>
#include <bit>

namespace kvcache {

namespace {

constexpr std::size_t reserved_factor = 4;

// A value of 16 bits in each quarter of a word.
constexpr std::uint64_t in_each(std::uint64_t value) noexcept {
  return value * 0x0001'0001'0001'0001U;
}

} // namespace

ghost_table::~ghost_table() {
  if (words_ != nullptr) source_.unreserve(words_, reserved_bytes_);
  budget_.refund(bytes());
}

// The addresses stay reserved and usable: a thread that still works with the table of before finds
// zeros there, or ghosts of other keys, and no fault.
void ghost_table::resize(std::size_t ghosts) noexcept {
  const std::size_t wanted = (ghosts + bucket_ghosts - 1) / bucket_ghosts * bucket_bytes;
  buckets_.store(0, std::memory_order_release);
  if (bytes() != 0) source_.give_back(words_, bytes());
  budget_.refund(charged_bytes_.exchange(0, std::memory_order_relaxed));
  if (wanted == 0) return;
  if (words_ == nullptr) {
    reserved_bytes_ = round_up_to_pages(reserved_factor * wanted);
    words_ = static_cast<word*>(source_.reserve(reserved_bytes_));
    if (words_ == nullptr) return;
  }
  const std::size_t pages = std::min(round_up_to_pages(wanted), reserved_bytes_);
  if (pages > committed_bytes_) {
    if (!source_.commit(words_, pages)) return;
    committed_bytes_ = pages;
  }
  budget_.charge(pages);
  charged_bytes_.store(pages, std::memory_order_relaxed);
  buckets_.store(static_cast<std::uint32_t>(std::min(wanted, pages) / bucket_bytes),
                 std::memory_order_release);
}

inline ghost_table::word* ghost_table::bucket_for(std::uint32_t hash) const noexcept {
  const std::uint64_t buckets = buckets_.load(std::memory_order_acquire);
  return words_ + (buckets * hash >> 32) * bucket_words;
}

// Never 0, which stands for no ghost.
inline std::uint64_t ghost_table::ghost_of(std::uint32_t fingerprint) noexcept {
  constexpr std::uint32_t lowest = 1U << uses_bits;
  const std::uint64_t ghost = (fingerprint << uses_bits) & ((1U << ghost_bits) - 1);
  return ghost == 0 ? lowest : ghost;
}

void ghost_table::add(const entry_ref& ref, unsigned uses) noexcept {
  if (buckets_.load(std::memory_order_relaxed) == 0) return;
  word* const bucket = bucket_for(ref.hash);
  std::uint64_t moved = ghost_of(ref.fingerprint) | uses;
  for (unsigned i = 0; i < bucket_words; ++i) {
    const std::uint64_t before = bucket[i].load(std::memory_order_relaxed);
    bucket[i].store(before << ghost_bits | moved, std::memory_order_relaxed);
    moved = before >> (64 - ghost_bits);
  }
}

std::optional<unsigned> ghost_table::find_and_remove(std::uint32_t hash,
                                                     std::uint32_t fingerprint) noexcept {
  word* const bucket = bucket_for(hash);
  const std::uint64_t wanted = in_each(ghost_of(fingerprint));
  for (unsigned i = 0; i < bucket_words; ++i) {
    const std::uint64_t ghosts = bucket[i].load(std::memory_order_relaxed);
    // The lowest quarter that is 0 but for the uses has its highest bit set in `equal`.
    const std::uint64_t differing = (ghosts ^ wanted) & in_each(0xffffU << uses_bits & 0xffffU);
    const std::uint64_t equal = (differing - in_each(1)) & ~differing & in_each(0x8000);
    if (equal == 0) continue;
    const auto in_word = static_cast<unsigned>(std::countr_zero(equal)) / ghost_bits;
    const auto uses =
        static_cast<unsigned>(ghosts >> (in_word * ghost_bits)) & entry_meta::max_uses;
    const unsigned place = i * ghosts_per_word + in_word;
    remove(bucket, place);
    found_[uses][place].fetch_add(1, std::memory_order_relaxed);
    return uses;
  }
  return std::nullopt;
}

// The older ghosts move one place back.
void ghost_table::remove(word* bucket, unsigned place) noexcept {
  for (unsigned i = place / ghosts_per_word; i < bucket_words; ++i) {
    const std::uint64_t ghosts = bucket[i].load(std::memory_order_relaxed);
    const std::uint64_t next = i + 1 < bucket_words ? bucket[i + 1].load(std::memory_order_relaxed)
                                                          << (64 - ghost_bits)
                                                    : 0;
    const unsigned kept_bits =
        i == place / ghosts_per_word ? place % ghosts_per_word * ghost_bits : 0;
    const std::uint64_t kept = ghosts & ((std::uint64_t{1} << kept_bits) - 1);
    const std::uint64_t later =
        (ghosts >> ghost_bits | next) & ~((std::uint64_t{1} << kept_bits) - 1);
    bucket[i].store(kept | later, std::memory_order_relaxed);
  }
}

ghost_table::by_use_and_place<std::uint32_t> ghost_table::found() const noexcept {
  by_use_and_place<std::uint32_t> counts{};
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned place = 0; place < bucket_ghosts; ++place) {
      counts[uses][place] = found_[uses][place].load(std::memory_order_relaxed);
    }
  }
  return counts;
}

void ghost_table::count_bucket(std::uint64_t number,
                               by_use_and_place<std::uint32_t>& counts) const noexcept {
  const std::uint32_t buckets = buckets_.load(std::memory_order_acquire);
  if (buckets == 0) return;
  const word* const bucket = words_ + number % buckets * bucket_words;
  for (unsigned place = 0; place < bucket_ghosts; ++place) {
    const std::uint64_t ghosts = bucket[place / ghosts_per_word].load(std::memory_order_relaxed);
    const std::uint64_t ghost =
        ghosts >> (place % ghosts_per_word * ghost_bits) & ((1U << ghost_bits) - 1);
    if (ghost != 0) ++counts[ghost & entry_meta::max_uses][place];
  }
}

} // namespace kvcache
