// Bearer tokens (RFC 6750, section 2.1), each with the permission it grants.
//
// Thread-safety: check() from any thread; set_tokens() from any thread meanwhile (on SIGHUP): a
// check sees either the old tokens or the new ones.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "http/authorizer.hpp"

namespace kvcache::http {

struct access_token {
  std::string secret; // never logged, never shown
  permission grants = permission::read;
};

class token_authorizer final : public authorizer {
public:
  explicit token_authorizer(std::vector<access_token> tokens) { set_tokens(std::move(tokens)); }

  void set_tokens(std::vector<access_token> tokens);

  permission check(std::string_view authorization) const noexcept override;

private:
  using token_list = std::shared_ptr<const std::vector<access_token>>;

  token_list current() const noexcept;

  mutable std::mutex mutex_; // guards the pointer only
  token_list tokens_;
};

// Whether both are equal, in a time that depends on their lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

} // namespace kvcache::http
