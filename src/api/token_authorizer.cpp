#include "api/token_authorizer.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "cache/little_endian.hpp"
#include "http/ascii.hpp"

namespace kvcache::http {

namespace {

constexpr std::string_view scheme = "Bearer ";

bool has_scheme(std::string_view authorization) noexcept {
  return authorization.starts_with(scheme) || // as nearly everybody writes it
         equal_ignoring_case(authorization.substr(0, scheme.size()), scheme);
}

keyed_hash draw_digest() {
  std::random_device random;
  const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
  const std::uint64_t first = word();
  return {first, word()};
}

} // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  constexpr std::size_t word_bytes = sizeof(std::uint64_t);
  std::uint64_t difference = 0;
  std::size_t i = 0;
  for (; a.size() - i >= word_bytes; i += word_bytes)
    difference |= load_little_endian<std::uint64_t>(a.data() + i) ^
                  load_little_endian<std::uint64_t>(b.data() + i);
  difference |= load_little_endian_upto_7(a.data() + i, a.size() - i) ^
                load_little_endian_upto_7(b.data() + i, a.size() - i);
  // volatile keeps the compiler from deciding before the end.
  const volatile std::uint64_t all = difference;
  return all == 0;
}

token_table::token_table(const std::vector<access_token>& tokens) : digest_(draw_digest()) {
  by_digest_.reserve(tokens.size());
  const auto add_one = [this](const access_token& token) { return add(token); };
  while (!std::all_of(tokens.begin(), tokens.end(), add_one)) {
    by_digest_.clear();
    digest_ = draw_digest();
  }
}

// False: another token has the same digest under this key.
bool token_table::add(const access_token& token) {
  access_token& known = by_digest_.try_emplace(digest_(token.secret), token).first->second;
  known.grants = std::max(known.grants, token.grants);
  return known.secret == token.secret;
}

const access_token* token_table::find(std::string_view authorization,
                                      const access_token* guess) const noexcept {
  if (!has_scheme(authorization)) return nullptr;
  const std::string_view token = trimmed(authorization.substr(scheme.size())); // RFC 9110 §11.4
  if (guess != nullptr && equal_in_constant_time(token, guess->secret)) return guess;
  const auto found = by_digest_.find(digest_(token));
  const bool known =
      found != by_digest_.end() && equal_in_constant_time(token, found->second.secret);
  return known ? &found->second : nullptr;
}

void token_authorizer::set_tokens(const std::vector<access_token>& tokens) {
  auto fresh = std::make_shared<const token_table>(tokens);
  const std::lock_guard lock{mutex_};
  table_.swap(fresh); // the old one goes after the lock
  generation_.fetch_add(1, std::memory_order_release);
}

void token_view::catch_up() noexcept {
  const std::lock_guard lock{tokens_->mutex_};
  table_ = tokens_->table_;
  last_ = nullptr;
  generation_ = tokens_->generation();
}

} // namespace kvcache::http
