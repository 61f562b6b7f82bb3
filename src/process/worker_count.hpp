// The default number of worker threads: one per available processor. More would only wait for each
// other.
#pragma once

#include <optional>

namespace kvcache::config {

// The processors in this process's affinity mask, at least 1.
unsigned processors_by_affinity();

// One per processor, at most the quota (in processors, rounded up), and at least 1. Pure.
unsigned worker_count(unsigned processors, std::optional<double> quota_processors) noexcept;

} // namespace kvcache::config
