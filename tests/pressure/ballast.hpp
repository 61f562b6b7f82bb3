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

} // namespace kvcache::test
