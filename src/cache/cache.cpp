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
bool cache::get_marked(std::string_view key, marked_visitor visit) noexcept {
  return store_->get_marked(key, visit);
}
bool cache::read(std::string_view key, entry_visitor visit) noexcept {
  return store_->read(key, visit);
}
bool cache::inspect(std::string_view key, entry_visitor visit) const noexcept {
  return store_->inspect(key, visit);
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
put_outcome cache::put_if(std::string_view key, const new_value& value, tick expires_at,
                          precondition when) noexcept {
  return store_->put_if(key, value, expires_at, when);
}
value_upload cache::begin_upload(std::string_view key, std::size_t most_bytes) noexcept {
  return store_->begin_upload(key, most_bytes);
}
erase_outcome cache::erase_if(std::string_view key, precondition when) noexcept {
  return store_->erase_if(key, when);
}
touch_outcome cache::touch_if(std::string_view key, tick expires_at, precondition when) noexcept {
  return store_->touch_if(key, expires_at, when);
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

pinned_value entry_view::pin() const noexcept { return store_->pin(block_, value_); }
void pinned_value::release() noexcept { store_->unpin(block_); }
std::size_t pinned_value::detached_bytes() const noexcept {
  return store_ == nullptr ? 0 : store_->detached_bytes(block_);
}

value_upload::~value_upload() {
  if (store_ != nullptr) store_->abandon_upload(*this);
}
std::size_t value_upload::resident_bytes() const noexcept {
  if (store_ == nullptr) return 0;
  return round_up_to_pages(header_bytes_ + key_bytes_ + written_);
}
put_outcome value_upload::finish(std::string_view suffix, std::uint8_t mark, tick expires_at,
                                 precondition when) noexcept {
  const put_outcome outcome =
      store_->finish_upload(*this, {written(), suffix, mark}, expires_at, when);
  store_ = nullptr;
  return outcome;
}

} // namespace kvcache
