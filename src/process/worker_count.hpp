// How many worker threads make sense: more than the processors this process may really use only
// wait for each other (the index's spinlocks do not yield).
#pragma once

#include <optional>

namespace kvcache::config {

// Processors this process may run on, at least 1 (sched_getaffinity; any number of processors).
unsigned processors_by_affinity();

// One for each processor, as far as the quota (in processors, a fraction counts as one more) goes;
// at least 1. Pure.
unsigned worker_count(unsigned processors, std::optional<double> quota_processors) noexcept;

} // namespace kvcache::config
