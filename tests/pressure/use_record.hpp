// What a memory group has in use, looked at again and again.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

#include "pressure/memory_cgroup.hpp"

namespace kvcache::test {

// In percent of the group's limit, as the kernel counts.
struct use_range {
  double least = 0;
  double most = 0;
  std::size_t looks = 0;
};

// Looks so many times, on the calling thread. The group's limit must not change meanwhile.
use_range look_at_use(const memory_cgroup& group, std::size_t looks);

// Looks from a thread of its own, until end().
class use_record {
public:
  explicit use_record(const memory_cgroup& group);
  ~use_record();
  use_record(const use_record&) = delete;
  use_record& operator=(const use_record&) = delete;

  use_range end();

private:
  std::atomic<bool> ended_{false};
  use_range seen_; // the thread's until it has ended
  std::thread thread_;
};

} // namespace kvcache::test
