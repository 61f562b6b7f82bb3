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
  // A cell that exceeds what is left of a band begins the next one. Two bands in a row are larger
  // than a share, so the last band is never much larger.
  const std::uint64_t share = total / (bands / 2);
  std::uint64_t in_band = 0;
  unsigned band = 0;
  for (const cell& c : cells) {
    const std::uint64_t bytes = bytes_[c.uses][c.bucket];
    if (in_band != 0 && in_band + bytes > share && band + 1 < bands) {
      ++band;
      in_band = 0;
    }
    in_band += bytes;
    band_of_[c.uses][c.bucket] = static_cast<std::uint8_t>(band);
  }
}

} // namespace kvcache::snapshot
