// Who may do what. The server asks; where the tokens come from is none of its business.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvcache::http {

// What a request needs, or what its token grants. Ordered: each level includes those before it.
enum class permission : std::uint8_t { none, read, write };

// Thread-safety: called from every worker at the same time.
class authorizer {
public:
  virtual ~authorizer() = default;

  // The permission that the value of an Authorization header grants; none for a missing (empty),
  // malformed or unknown one. Takes the same time for every wrong token.
  virtual permission check(std::string_view authorization) const noexcept = 0;
};

} // namespace kvcache::http
