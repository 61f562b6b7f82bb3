// While it lives, this process can open nothing more; what is open works on.
#pragma once

#include <stdexcept>

#include <sys/resource.h>

namespace kvcache::test {

class no_descriptors_left {
public:
  no_descriptors_left() {
    const bool known = ::getrlimit(RLIMIT_NOFILE, &before_) == 0;
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    if (!known || ::setrlimit(RLIMIT_NOFILE, &none) != 0)
      throw std::runtime_error("cannot limit the descriptors");
  }
  ~no_descriptors_left() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors_left(const no_descriptors_left&) = delete;
  no_descriptors_left& operator=(const no_descriptors_left&) = delete;

private:
  rlimit before_{};
};

} // namespace kvcache::test
