// A text that may be known to be plain: ASCII without escapes in a query as well as in a JSON
// string, so that neither needs another scan.
#pragma once

#include <concepts>
#include <string_view>

namespace kvcache::http {

struct maybe_plain {
  std::string_view text;
  bool is_plain = false; // false: not known

  maybe_plain() noexcept = default;
  template <std::convertible_to<std::string_view> Text>
  maybe_plain(const Text& of) noexcept : text(of) {} // NOLINT(google-explicit-constructor)
  maybe_plain(std::string_view of, bool known_plain) noexcept : text(of), is_plain(known_plain) {}
};

} // namespace kvcache::http
