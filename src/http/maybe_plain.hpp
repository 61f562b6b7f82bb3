// A text, and perhaps the knowledge that it is plain: ASCII that stands for itself in a query as
// well as in a JSON string, so that neither has to be looked through again. Who does not know says
// no.
#pragma once

#include <concepts>
#include <string_view>

namespace kvcache::http {

struct maybe_plain {
  std::string_view text;
  bool is_plain = false;

  maybe_plain() noexcept = default;
  template <std::convertible_to<std::string_view> Text>
  maybe_plain(const Text& of) noexcept : text(of) {} // NOLINT(google-explicit-constructor)
  maybe_plain(std::string_view of, bool known_plain) noexcept : text(of), is_plain(known_plain) {}
};

} // namespace kvcache::http
