// What a memory group has in use, looked at again and again.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

#include "pressure/memory_cgroup.hpp"

namespace kvcache::test {

// In percent of the group's limit, as the kernel counts.
struct use_range {
  double low;
  double high;

  bool has(double percent) const { return percent >= low && percent <= high; }
};

struct use_looks {
  use_range seen{100, 0};
  std::size_t count = 0;
  std::size_t settled = 0; // of them, those within the wanted range
};

// Looks so many times, on the calling thread. The group's limit must not change meanwhile.
use_looks look_at_use(const memory_cgroup& group, use_range wanted, std::size_t looks);

// Looks from a thread of its own, until end().
class use_record {
public:
  use_record(const memory_cgroup& group, use_range wanted);
  ~use_record();
  use_record(const use_record&) = delete;
  use_record& operator=(const use_record&) = delete;

  use_looks end();

private:
  std::atomic<bool> ended_{false};
  use_looks looks_; // the thread's until it has ended
  std::thread thread_;
};

} // namespace kvcache::test
