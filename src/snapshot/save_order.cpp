#include "snapshot/save_order.hpp"

#include <algorithm>
#include <cstddef>

namespace kvcache::snapshot {

void save_order::divide() noexcept {
  struct cell {
    int rank;
    unsigned uses;
    unsigned bucket;
  };
  std::array<cell, std::size_t{use_class_count} * age_bucket_count> cells;
  std::size_t count = 0;
  std::uint64_t total = 0;
  for (unsigned uses = 0; uses < use_class_count; ++uses) {
    for (unsigned bucket = 0; bucket < age_bucket_count; ++bucket) {
      cells[count++] = {ranks_[uses][bucket], uses, bucket};
      total += bytes_[uses][bucket];
    }
  }
  std::stable_sort(cells.begin(), cells.end(),
                   [](const cell& a, const cell& b) { return a.rank < b.rank; });
  std::uint64_t before = 0; // bytes in hotter cells
  for (const cell& c : cells) {
    band_of_[c.uses][c.bucket] = static_cast<std::uint8_t>(
        total == 0 ? 0 : std::min<std::uint64_t>(before * bands / total, bands - 1));
    before += bytes_[c.uses][c.bucket];
  }
}

} // namespace kvcache::snapshot
