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

// Another process that takes `jump_bytes` as fast as it can, and then goes on growing until it has
// `most_bytes`. It grows until it is destroyed, or the kernel kills it.
class growing_ballast {
public:
  growing_ballast(memory_cgroup& group, std::size_t jump_bytes, std::size_t bytes_a_second,
                  std::size_t most_bytes);
  ~growing_ballast();
  growing_ballast(const growing_ballast&) = delete;
  growing_ballast& operator=(const growing_ballast&) = delete;

  bool has_all() const; // all of most_bytes is resident

private:
  pid_t pid_;
  int done_; // readable once it has all
};

} // namespace kvcache::test
