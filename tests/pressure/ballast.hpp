// Another process in the same memory group that takes memory, until it is destroyed.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "pressure/memory_cgroup.hpp"

namespace kvcache::test {

class ballast {
public:
  ballast(memory_cgroup& group, std::size_t bytes); // returns when all of it is resident
  ~ballast();
  ballast(const ballast&) = delete;
  ballast& operator=(const ballast&) = delete;

private:
  pid_t pid_;
};

// How a growing_ballast grows. A second of its clock is over when the second is, and when
// `paced_by` has had `processor_share` of it, too: on a machine that is busy with something else,
// both have less to do with. So a test asks what the other process can do with its share, not with
// the time.
struct growth {
  std::size_t jump_bytes = 0; // as fast as it can, at first
  std::size_t bytes_a_second = 0;
  std::size_t most_bytes = 0;
  pid_t paced_by = 0;
  double processor_share = 0;
};

// Another process that grows until it is destroyed, or the kernel kills it.
class growing_ballast {
public:
  growing_ballast(memory_cgroup& group, const growth& how);
  ~growing_ballast();
  growing_ballast(const growing_ballast&) = delete;
  growing_ballast& operator=(const growing_ballast&) = delete;

  bool has_all() const; // all of most_bytes is resident

private:
  pid_t pid_;
  int done_; // readable once it has all
};

} // namespace kvcache::test
