// Bearer tokens (RFC 6750 §2.1), each with the permission it grants.
//
//   token_authorizer tokens{read_from_file};   // one for all workers
//   token_view view{&tokens};                  // one per worker
//   view.check(request[known_field::authorization]);
//
// Complexity: a check costs one comparison with the token found last, and otherwise one hash of the
// token, whatever the number of tokens. It takes no lock, except the first one after set_tokens().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/permission.hpp"
#include "cache/keyed_hash.hpp"

namespace kvcache::http {

struct access_token {
  std::string secret; // never logged, never shown
  permission grants = permission::read;
};

// Whether both are equal, in a time that depends on their lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

// A set of tokens, looked up by a digest under a key of its own and then compared whole: a
// collision grants nothing. The time of a check depends on the length of the text, on digests that
// nobody outside can predict, and on whether the whole text is the token found last. It does not
// depend on how much of a guess is right. Thread-safety: immutable.
class token_table {
public:
  // Throws std::bad_alloc, and std::runtime_error where the kernel gives no random number.
  explicit token_table(const std::vector<access_token>& tokens);

  // The token in the value of an Authorization header; null for a missing (empty), malformed or
  // unknown one. `guess`: compared first, without a digest; a token of this table, or null.
  const access_token* find(std::string_view authorization,
                           const access_token* guess = nullptr) const noexcept;

private:
  struct as_it_is {
    std::size_t operator()(std::uint32_t value) const noexcept { return value; }
  };

  bool add(const access_token& token);

  keyed_hash digest_;
  std::unordered_map<std::uint32_t, access_token, as_it_is> by_digest_;
};

// The tokens in force. Thread-safety: all members from any thread.
class token_authorizer {
public:
  explicit token_authorizer(const std::vector<access_token>& tokens) { set_tokens(tokens); }

  // Throws like token_table's constructor, and has changed nothing then. Every check that begins
  // after the return uses the new tokens.
  void set_tokens(const std::vector<access_token>& tokens);

  // How often the tokens have been set.
  std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }

private:
  friend class token_view;

  mutable std::mutex mutex_; // guards the pointer, and that both change together
  std::shared_ptr<const token_table> table_;
  std::atomic<std::uint64_t> generation_{0};
};

// One worker's view of the tokens in force. It shares the ownership of the table that it has used
// last, so that a replaced table lives until no worker uses it.
// Thread-safety: none, one per thread.
class token_view {
public:
  // `tokens`: null where none are asked for; must outlive this.
  explicit token_view(const token_authorizer* tokens) noexcept : tokens_(tokens) {}

  // False: everybody may do everything.
  bool asks_for_tokens() const noexcept { return tokens_ != nullptr; }

  // Another number: what check() has granted may no longer hold.
  std::uint64_t generation() const noexcept {
    return tokens_ == nullptr ? 0 : tokens_->generation();
  }

  // The permission that the value of an Authorization header grants. Most clients send the token of
  // the request before. REQUIRES: asks_for_tokens().
  permission check(std::string_view authorization) noexcept {
    if (tokens_->generation() != generation_) [[unlikely]]
      catch_up();
    const access_token* const found = table_->find(authorization, last_);
    if (found == nullptr) return permission::none;
    last_ = found;
    return found->grants;
  }

private:
  void catch_up() noexcept;

  const token_authorizer* tokens_;
  std::shared_ptr<const token_table> table_;
  const access_token* last_ = nullptr; // of table_, found last
  std::uint64_t generation_ = 0;       // of table_; 0: none yet
};

} // namespace kvcache::http
