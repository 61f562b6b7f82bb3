// The priority of threads that load or save while requests are served.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace kvcache::snapshot {

// For the calling thread, until it ends. Workers that are ready to run go first; where they use all
// processors, about a tenth of the time remains for this thread.
inline void lower_priority() noexcept {
  constexpr int niceness = 10;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness); // fails at worst
}

} // namespace kvcache::snapshot
