#include "api/batch_work.hpp"

#include <algorithm>
#include <utility>

namespace kvcache::http {
namespace {

// More than this is not kept for the next batch.
constexpr std::size_t most_kept_bytes = std::size_t{512} << 10;
constexpr std::size_t most_spare = 16;

} // namespace

std::unique_ptr<batch_work> batch_work_pool::take() {
  if (spare_.empty()) {
    spare_.reserve(most_spare); // for give_back(), which must not fail
    least_spare_ = 0;
    return std::make_unique<batch_work>();
  }
  std::unique_ptr<batch_work> taken = std::move(spare_.back());
  spare_.pop_back();
  least_spare_ = std::min(least_spare_, spare_.size());
  return taken;
}

void batch_work_pool::give_back(std::unique_ptr<batch_work> used) noexcept {
  if (spare_.size() == most_spare || used->held_bytes() > most_kept_bytes) return;
  used->body.ops.clear();
  used->body.decoded.clear();
  used->results.clear();
  used->is_begun = false;
  used->next = 0;
  used->reserved_bytes = 0;
  spare_.push_back(std::move(used));
}

void batch_work_pool::trim() noexcept {
  if (least_spare_ != 0) spare_.pop_back();
  least_spare_ = spare_.size();
}

std::size_t batch_work_pool::held_bytes() const noexcept {
  std::size_t sum = 0;
  for (const std::unique_ptr<batch_work>& each : spare_) sum += each->held_bytes();
  return sum;
}

} // namespace kvcache::http
