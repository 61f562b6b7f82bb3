#include "process/worker_count.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <memory>

namespace kvcache::config {

unsigned processors_by_affinity() {
  // The kernel rejects a set that is too small for the machine without naming a size: try larger
  // ones.
  constexpr int processors_most = 1 << 20;
  for (int processors = 1024; processors <= processors_most; processors *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{
        CPU_ALLOC(static_cast<std::size_t>(processors)), [](cpu_set_t* s) { CPU_FREE(s); }};
    const std::size_t set_bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(processors));
    if (set && sched_getaffinity(0, set_bytes, set.get()) == 0) {
      return std::max(1U, static_cast<unsigned>(CPU_COUNT_S(set_bytes, set.get())));
    }
    if (errno != EINVAL) break;
  }
  return 1;
}

unsigned worker_count(unsigned processors, std::optional<double> quota_processors) noexcept {
  processors = std::max(processors, 1U);
  if (!quota_processors || !(*quota_processors < processors)) return processors;
  return std::max(1U, static_cast<unsigned>(std::ceil(std::max(0.0, *quota_processors))));
}

} // namespace kvcache::config
