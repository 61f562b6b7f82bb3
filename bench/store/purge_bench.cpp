// How fast an emergency purge evicts: entries of one size are put in random order, half of the
// content is purged, and the processor time of it is measured. See README.md.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cache/store.hpp"
#include "cache/thread_cpu_time.hpp"
#include "eviction/slab_purge.hpp"

namespace {

struct shape {
  std::size_t key_bytes;
  std::size_t value_bytes;
};

constexpr std::size_t content_bytes = std::size_t{160} << 20;

void purge(shape of, kvcache::slab_purge::sparing spared) {
  kvcache::store entries{{.stripes = 2}};
  const std::size_t per_entry = of.key_bytes + of.value_bytes + 20;
  std::vector<std::uint32_t> order(content_bytes / per_entry);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937{7}); // NOLINT: repeatable
  entries.set_epoch_accesses(static_cast<std::uint32_t>(order.size() / 96));
  const std::string value(of.value_bytes, 'v');
  std::string key(of.key_bytes, 'k');
  for (const std::uint32_t number : order) {
    std::snprintf(key.data(), key.size(), "%0*u", static_cast<int>(of.key_bytes) - 1, number);
    entries.put(key, value, kvcache::never);
  }
  const std::size_t held = entries.held_bytes();
  const std::size_t size = entries.size();
  kvcache::slab_purge purge{entries, 1};
  const std::uint64_t began = kvcache::thread_cpu_ns();
  purge.aim(entries.live_bytes() / 2, spared);
  for (unsigned steps = 0; purge.step();) {
    if (++steps % 8 == 0) entries.shrink_index();
  }
  purge.end();
  const double seconds = static_cast<double>(kvcache::thread_cpu_ns() - began) / 1e9;
  std::printf(
      "%zu + %zu bytes, %s: %.2f M entries evicted, %.2f M a second, %.0f MiB a second returned\n",
      of.key_bytes, of.value_bytes,
      spared == kvcache::slab_purge::sparing::youngest_third ? "unhurried" : "hurried",
      static_cast<double>(size - entries.size()) / 1e6,
      static_cast<double>(size - entries.size()) / 1e6 / seconds,
      static_cast<double>(held - entries.held_bytes()) / (1 << 20) / seconds);
}

} // namespace

int main() {
  for (const shape of : {shape{20, 100}, shape{20, 10}, shape{12, 2}}) {
    purge(of, kvcache::slab_purge::sparing::youngest_third);
    purge(of, kvcache::slab_purge::sparing::last_epoch);
  }
  return EXIT_SUCCESS;
}
