#include "kvcache/limited_cache.hpp"

#include <stdexcept>

#include "eviction/managed_cache.hpp"

namespace kvcache {

namespace {

const limited_cache_options& checked(const limited_cache_options& options) {
  if (const auto fault = find_fault(options.eviction)) throw std::invalid_argument{*fault};
  return options;
}

} // namespace

class limited_cache::parts final : public managed_cache {
  using managed_cache::managed_cache;
};

limited_cache::limited_cache(const limited_cache_options& options)
    : parts_(std::make_unique<parts>(checked(options))) {
  parts_->start();
}

limited_cache::~limited_cache() = default;

cache& limited_cache::entries() noexcept { return parts_->entries(); }
const coarse_clock& limited_cache::clock() const noexcept { return parts_->clock(); }
eviction_status limited_cache::status() const { return parts_->status(); }

} // namespace kvcache
