#include "pressure/use_record.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

namespace kvcache::test {
namespace {

constexpr std::chrono::milliseconds between_looks{2};

template <class Wanted>
use_range look_while(const memory_cgroup& group, Wanted more_wanted) {
  use_range seen{std::numeric_limits<double>::max(), 0, 0};
  do {
    const double percent =
        100 * static_cast<double>(group.usage_bytes()) / static_cast<double>(group.limit_bytes());
    seen.least = std::min(seen.least, percent);
    seen.most = std::max(seen.most, percent);
    ++seen.looks;
    std::this_thread::sleep_for(between_looks);
  } while (more_wanted(seen.looks));
  return seen;
}

} // namespace

use_range look_at_use(const memory_cgroup& group, std::size_t looks) {
  return look_while(group, [&](std::size_t done) { return done < looks; });
}

use_record::use_record(const memory_cgroup& group)
    : thread_(
          [this, &group] { seen_ = look_while(group, [this](std::size_t) { return !ended_; }); }) {}

use_record::~use_record() {
  if (thread_.joinable()) end();
}

use_range use_record::end() {
  ended_ = true;
  thread_.join();
  return seen_;
}

} // namespace kvcache::test
