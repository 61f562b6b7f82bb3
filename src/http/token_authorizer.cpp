#include "http/token_authorizer.hpp"

#include <algorithm>
#include <utility>

#include "http/ascii.hpp"

namespace kvcache::http {

namespace {

constexpr std::string_view scheme = "Bearer ";

} // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  // volatile keeps the compiler from leaving the loop at the first difference.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

void token_authorizer::set_tokens(std::vector<access_token> tokens) {
  auto fresh = std::make_shared<const std::vector<access_token>>(std::move(tokens));
  const std::lock_guard lock{mutex_};
  tokens_.swap(fresh);
}

token_authorizer::token_list token_authorizer::current() const noexcept {
  const std::lock_guard lock{mutex_};
  return tokens_;
}

permission token_authorizer::check(std::string_view authorization) const noexcept {
  if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return permission::none;
  const std::string_view token = trimmed(authorization.substr(scheme.size()));
  permission granted = permission::none;
  const token_list tokens = current();      // keeps the list alive while it is gone through
  for (const access_token& known : *tokens) // all of them: the place of a match must not show
    if (equal_in_constant_time(token, known.secret)) granted = std::max(granted, known.grants);
  return granted;
}

} // namespace kvcache::http
