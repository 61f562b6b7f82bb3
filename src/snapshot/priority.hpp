// The priority of threads that load or save while requests are served.
#pragma once

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace kvcache::snapshot {

// As sched_setattr(2) describes it; the kernel's header cannot be included beside <sched.h>.
struct scheduling_attributes {
  std::uint32_t size = sizeof(scheduling_attributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t slice_ns = 0; // since Linux 6.12
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

// For the calling thread, until it ends. Workers that are ready to run go first; where they use all
// processors, about a tenth of the time remains for this thread. Its slices are as short as the
// kernel permits, since a worker that wakes up may have to wait for the end of one.
inline void lower_priority() noexcept {
  scheduling_attributes wanted;
  wanted.nice = 10;
  wanted.slice_ns = 100'000;
  ::syscall(SYS_sched_setattr, 0, &wanted, 0U); // fails at worst
}

} // namespace kvcache::snapshot
