#include "pressure/use_record.hpp"

#include <algorithm>
#include <chrono>

namespace kvcache::test {
namespace {

constexpr std::chrono::milliseconds between_looks{2};

template <class More>
use_looks look_while(const memory_cgroup& group, use_range wanted, More more_wanted) {
  use_looks looks;
  do {
    const double percent =
        100 * static_cast<double>(group.usage_bytes()) / static_cast<double>(group.limit_bytes());
    looks.seen = {std::min(looks.seen.low, percent), std::max(looks.seen.high, percent)};
    looks.settled += wanted.has(percent) ? 1 : 0;
    ++looks.count;
    std::this_thread::sleep_for(between_looks);
  } while (more_wanted(looks.count));
  return looks;
}

} // namespace

use_looks look_at_use(const memory_cgroup& group, use_range wanted, std::size_t looks) {
  return look_while(group, wanted, [&](std::size_t done) { return done < looks; });
}

use_record::use_record(const memory_cgroup& group, use_range wanted)
    : thread_([this, &group, wanted] {
        looks_ = look_while(group, wanted, [this](std::size_t) { return !ended_; });
      }) {}

use_record::~use_record() {
  if (thread_.joinable()) end();
}

use_looks use_record::end() {
  ended_ = true;
  thread_.join();
  return looks_;
}

} // namespace kvcache::test
