#include "cache/slab_pool.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace kvcache {
namespace {

constexpr std::size_t smallest_reservation = std::size_t{64} << 20;

// Slabs made usable with one system call.
constexpr std::uint32_t commit_step = 16;

constexpr std::uint32_t bits_per_word = 64;

constexpr std::size_t bitmap_bytes(std::uint32_t slabs) noexcept {
  return (slabs + bits_per_word - 1) / bits_per_word * sizeof(std::uint64_t);
}

} // namespace

slab_pool::slab_pool(memory_source& source, std::size_t most_bytes) : source_(source) {
  std::size_t bytes = most_bytes;
  while ((base_ = static_cast<std::byte*>(source_.reserve(bytes))) == nullptr) {
    bytes /= 2;
    if (bytes < smallest_reservation) throw std::bad_alloc{};
  }
  slab_count_ = static_cast<std::uint32_t>(bytes / slab_bytes);
  spin_guard guard{lock_};
  free_bits_ =
      static_cast<std::uint64_t*>(source_.map(round_up_to_pages(bitmap_bytes(slab_count_))));
  if (free_bits_ == nullptr) {
    source_.unreserve(base_, bytes);
    throw std::bad_alloc{};
  }
}

slab_pool::~slab_pool() {
  spin_guard guard{lock_};
  source_.unmap(free_bits_, round_up_to_pages(bitmap_bytes(slab_count_)));
  source_.unreserve(base_, slab_count_ * slab_bytes);
}

slab_run slab_pool::take(std::uint32_t count) noexcept {
  spin_guard guard{lock_};
  if (const auto run = find_free_run(count)) {
    mark(*run, count, false);
    return {slab_refusal::none, *run};
  }
  // A free run that ends at the frontier is extended beyond it.
  std::uint32_t first = frontier();
  while (first > first_slab && is_free(first - 1)) --first;
  if (slab_count_ - first < count) return {slab_refusal::range_full};
  if (!advance_frontier(first + count)) return {slab_refusal::kernel_refused};
  mark(first, count, false);
  return {slab_refusal::none, first};
}

void slab_pool::give(std::uint32_t first, std::uint32_t count) noexcept {
  spin_guard guard{lock_};
  mark(first, count, true);
  search_from_ = std::min(search_from_, first);
}

std::optional<std::uint32_t> slab_pool::find_free_run(std::uint32_t count) noexcept {
  const std::uint32_t end = frontier();
  std::uint32_t slab = search_from_;
  std::uint32_t run = 0;
  bool first_free_seen = false;
  while (slab < end) {
    if (slab % bits_per_word == 0 && free_bits_[slab / bits_per_word] == 0) {
      run = 0;
      slab += bits_per_word;
      continue;
    }
    if (!is_free(slab)) {
      run = 0;
    } else {
      if (!first_free_seen) search_from_ = slab;
      first_free_seen = true;
      if (++run == count) return slab + 1 - count;
    }
    ++slab;
  }
  if (!first_free_seen) search_from_ = end;
  return std::nullopt;
}

bool slab_pool::advance_frontier(std::uint32_t to) noexcept {
  if (to > committed_) {
    const std::uint32_t target = std::min(slab_count_, std::max(to, committed_ + commit_step));
    if (!source_.commit(base_ + committed_ * slab_bytes, (target - committed_) * slab_bytes)) {
      return false;
    }
    committed_ = target;
  }
  if (to > frontier()) frontier_.store(to, std::memory_order_release);
  return true;
}

bool slab_pool::is_free(std::uint32_t slab) const noexcept {
  return (free_bits_[slab / bits_per_word] >> (slab % bits_per_word) & 1U) != 0;
}

void slab_pool::mark(std::uint32_t first, std::uint32_t count, bool free) noexcept {
  for (std::uint32_t slab = first; slab < first + count; ++slab) {
    const std::uint64_t bit = std::uint64_t{1} << (slab % bits_per_word);
    std::uint64_t& word = free_bits_[slab / bits_per_word];
    word = free ? word | bit : word & ~bit;
  }
}

} // namespace kvcache
