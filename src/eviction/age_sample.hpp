// The ages of a sample of entries, for slab_purge.
//
// Thread-safety: none; its owner guards it.
#pragma once

#include <array>
#include <cstddef>

#include "eviction/entry_sampler.hpp"

namespace kvcache {

class age_sample {
public:
  static constexpr std::size_t most_entries = 512; // in some 50 us

  age_sample() noexcept {} // ages_ stays uninitialised

  void take(store& of) noexcept;

  // The age that all but the youngest one in so many reach; 0 if there is no entry.
  epoch age_beyond_youngest(std::size_t one_in) noexcept;
  epoch oldest() const noexcept;

private:
  std::array<epoch, most_entries> ages_; // the first count_ of them
  std::size_t count_ = 0;
  entry_sampler sampler_;
};

} // namespace kvcache
