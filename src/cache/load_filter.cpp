#include "cache/load_filter.hpp"

#include <algorithm>
#include <bit>

namespace kvcache {

namespace {

constexpr unsigned hash_bits = 32;
constexpr unsigned bits_per_word = 64;

// Of a million keys written during the load of ten million entries, one in eighty is taken for one
// that is to be loaded.
constexpr std::size_t bits_per_entry = 8;
constexpr std::size_t least_bits = std::size_t{1} << 16;
constexpr std::size_t most_bits = std::size_t{1} << 26;

} // namespace

load_filter::~load_filter() {
  if (words_ != nullptr) source_.unmap(words_, bytes_);
}

bool load_filter::begin(std::size_t entries) noexcept {
  const std::size_t wanted = std::min(entries, most_bits / bits_per_entry) * bits_per_entry;
  const std::size_t bits = std::bit_ceil(std::max(wanted, least_bits));
  bytes_ = round_up_to_pages(bits / 8);
  words_ = static_cast<word*>(source_.map(bytes_)); // zeros
  if (words_ == nullptr) return false;
  shift_ = hash_bits - static_cast<unsigned>(std::countr_zero(bits));
  active_.store(true, std::memory_order_release);
  return true;
}

// The addresses stay usable: a write that began before may still note its key.
void load_filter::end() noexcept {
  if (!active_.load(std::memory_order_relaxed)) return;
  ended_.store(true, std::memory_order_relaxed);
  for (lock_line& line : locks_) spin_guard guard{line.lock};
  active_.store(false, std::memory_order_relaxed);
  source_.give_back(words_, bytes_);
}

bool load_filter::may_load(std::uint32_t hash) const noexcept {
  if (ended_.load(std::memory_order_relaxed)) return false;
  const std::uint32_t bit = bit_of(hash);
  const std::uint64_t noted = words_[bit / bits_per_word].load(std::memory_order_relaxed);
  return (noted >> bit % bits_per_word & 1U) == 0;
}

void load_filter::note(std::uint32_t hash) noexcept {
  const std::uint32_t bit = bit_of(hash);
  spin_guard guard{lock_of(hash)};
  words_[bit / bits_per_word].fetch_or(std::uint64_t{1} << bit % bits_per_word,
                                       std::memory_order_relaxed);
}

} // namespace kvcache
