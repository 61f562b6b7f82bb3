#include "kvcache/cache.hpp"

#include "cache/store.hpp"

namespace kvcache {

cache::cache(const cache_options& options) : store_(std::make_unique<store>(options)) {}
cache::~cache() = default;

bool cache::get(std::string_view key, value_visitor visit) noexcept {
  return store_->get(key, visit);
}
bool cache::peek(std::string_view key, value_visitor visit) const noexcept {
  return store_->peek(key, visit);
}
void cache::prefetch(std::string_view key) const noexcept { store_->prefetch(key); }
bool cache::prefetch_pays() const noexcept { return store_->prefetch_pays(); }
put_outcome cache::put(std::string_view key, std::string_view value, tick expires_at) noexcept {
  return store_->put(key, value, expires_at);
}
put_outcome cache::put_if_absent(std::string_view key, std::string_view value,
                                 tick expires_at) noexcept {
  return store_->put_if_absent(key, value, expires_at);
}
put_outcome cache::compare_and_swap(std::string_view key, std::string_view expected,
                                    std::string_view desired, tick expires_at) noexcept {
  return store_->compare_and_swap(key, expected, desired, expires_at);
}
bool cache::erase(std::string_view key) noexcept { return store_->erase(key); }
std::size_t cache::clear() noexcept { return store_->clear(); }
std::size_t cache::size() const noexcept { return store_->size(); }
cache_stats cache::stats() const noexcept { return store_->stats(); }
tick cache::now() const noexcept { return store_->now(); }
void cache::advance_clock(tick now) noexcept { store_->advance_clock(now); }
void cache::set_hold_limit_bytes(std::size_t bytes) noexcept {
  store_->set_hold_limit_bytes(bytes);
}
std::size_t cache::hold_limit_bytes() const noexcept { return store_->hold_limit_bytes(); }
bool cache::maintain(unsigned budget_us) noexcept { return store_->maintain(budget_us); }

} // namespace kvcache
